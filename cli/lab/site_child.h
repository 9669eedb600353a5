/* SPDX-License-Identifier: MIT */
/* The embedded site, `weft serve`, as a process of its own. */
#ifndef LAB_SITE_H
#define LAB_SITE_H

#include <weft.h>
#include <weft/child.h>

struct site_child {
    weft_child *child;
    char address[WEFT_ADDRESS_BYTES]; /* HOST:PORT */
};

/* Starts it on a free port. Returns 0, to be ended, or -errno. */
int site_child_start(struct site_child *site);

/* Ends it, also what failed to start. */
void site_child_end(struct site_child *site);

#endif
