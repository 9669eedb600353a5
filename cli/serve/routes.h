/* SPDX-License-Identifier: MIT */
/* What the table in routes.c is made of. */
#ifndef SERVE_ROUTES_H
#define SERVE_ROUTES_H

#include "site.h"

enum route_flags {
    ROUTE_CONTROL = 1, /* not counted, never delayed: asking about the counters leaves them alone */
    ROUTE_OWN_MS = 2,  /* gives ?ms= a meaning of its own */
};

struct route {
    const char *path; /* ending in '/': a prefix with something behind it; else the whole path */
    const char *name; /* in /stats */
    const char *form; /* for people */
    const char *help;
    void (*answer)(struct exchange *x);
    unsigned flags;
};

/* Finds the route of x->path and sets x->route and x->rest. */
void route_find(struct exchange *x);

/* Counts its request in the site's stats, or not; end only what was begun. */
void route_begin(struct exchange *x);
void route_end(struct exchange *x);

/* pages.c */
void answer_page(struct exchange *x);
void answer_slow(struct exchange *x);
void answer_big(struct exchange *x);
void answer_drip(struct exchange *x);
void answer_echo(struct exchange *x);

/* faults.c */
void answer_status(struct exchange *x);
void answer_redirect(struct exchange *x);
void answer_flaky(struct exchange *x);
void answer_drop(struct exchange *x);
void answer_drop_body(struct exchange *x);

/* files.c: the file that x->rest names below the served directory. */
void answer_file(struct exchange *x);

#endif
