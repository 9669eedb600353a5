/* SPDX-License-Identifier: MIT */
/* The embedded test site: what its files share.
 *
 *   serve.c       options, start and end           server.c   who accepts, and how all of it ends
 *   listen.c      the socket                       connection.c  a client's task
 *   request.c     what a client asks               outgoing.c   what goes back to it
 *   send.c        answers on their way             reply.c    making an answer, parameters
 *   routes.c      the table of routes, 404, 405    pages.c    answers with bodies
 *   faults.c      answers that misbehave on purpose
 *   files.c       a directory                      stats.c    what was asked, how much at once
 *
 * Each connection is a task, which reads a request, makes its answer, sleeps until that is due and
 * sends it. Tasks run on several threads; what they share is in struct site. */
#ifndef SERVE_SITE_H
#define SERVE_SITE_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft.h>

#include "flaky.h"
#include "listen.h"
#include "stats.h"

/* Limits that keep one request from taking the server down. */
#define PAGE_BYTES_MAX   (UINT64_C(16) << 20)
#define STREAM_BYTES_MAX (UINT64_C(1) << 50)
#define DELAY_MS_MAX     UINT64_C(3600000) /* an hour */

struct site {
    int64_t latency_ns;  /* constant after start */
    uint64_t page_bytes; /* constant after start */
    int64_t patience_ns; /* with clients that neither send nor take; constant after start */
    int root;            /* descriptor of the served directory, -1: none; constant after start */
    weft_lock lock;      /* guards what follows */
    struct stats stats;
    struct flaky flaky;
};

/* A body whose every byte is known: a line over and over. */
#define LINE_BYTES 40
struct lines {
    char line[LINE_BYTES];
    uint64_t piece;  /* bytes sent between two waits; 0: no waits */
    int64_t wait_ns; /* between pieces */
    bool chunked;    /* its length is not told */
    bool cut;        /* the connection is closed after half of it */
};

/* What is sent back. */
struct answer {
    unsigned status;  /* 0: nothing is, the connection is closed */
    const char *type; /* constant; NULL: no Content-Type */
    char *headers;    /* more of them, each with its line's end; owned; NULL: none */
    enum { BODY_NONE, BODY_BYTES, BODY_LINES, BODY_FILE } body;
    uint64_t size;      /* of the body */
    char *bytes;        /* BODY_BYTES: owned */
    int file;           /* BODY_FILE: owned */
    struct lines lines; /* BODY_LINES */
};

struct request;
struct route;

/* One request and its answer, from the request's last header until the answer is sent.
 * A route's function sets the answer through reply.h. */
struct exchange {
    struct site *site;
    const struct request *request; /* borrowed; valid while the exchange is */
    const struct route *route;     /* what it is counted as */
    const char *path;              /* decoded, without the query */
    const char *rest;              /* of the path, behind the route's prefix */
    struct answer answer;
    int64_t delay_ns; /* before the answer */
    bool head;        /* asked for by HEAD: headers only */
    bool reset;       /* the connection ends with a TCP reset */
};

/* Runs the route that the path names and leaves its answer, with its delay, in the exchange. */
void site_answer(struct exchange *x);

/* The routes as text, one per line, for the front page and for --help. */
#define ROUTES_TEXT_MAX 4096
void site_describe(char *text, size_t text_size);

/* Serves the site at `listener` (taken, also on failure) until SIGINT, SIGTERM or, when
 * `until_eof`, the end of stdin. `ready` is printed on stdout once requests are answered.
 * Returns 0 or -errno, with the reason on stderr. */
int server_run(struct site *site, weft_listener *listener, uint64_t connections_max, bool until_eof,
               const char *ready);

#endif
