/* SPDX-License-Identifier: MIT */
/* The embedded test site: what its files share.
 *
 *   serve.c     options, start and end            server.c   the loop, requests from begin to end
 *   routes.c    the table of routes, 404 and 405  pages.c    answers with bodies
 *   faults.c    answers that misbehave on purpose files.c    a directory
 *   reply.c     making an answer, parameters      stats.c    what was asked, and how much at once
 *   later.c     what is answered later            listen.c   the socket
 *
 * Everything runs on one thread, the loop in server.c, so nothing here is locked. */
#ifndef SERVE_SITE_H
#define SERVE_SITE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flaky.h"
#include "later.h"
#include "stats.h"

/* Limits that keep one request from taking the server down. */
#define PAGE_BYTES_MAX   (UINT64_C(16) << 20) /* a page is built in memory */
#define STREAM_BYTES_MAX (UINT64_C(1) << 50)  /* a stream is not */
#define DELAY_MS_MAX     UINT64_C(3600000)    /* an hour */

struct site {
    int64_t latency_ns;  /* constant after start */
    uint64_t page_bytes; /* constant after start */
    int root;            /* descriptor of the served directory, -1: none; constant after start */
    struct later later;  /* connections whose time has not come */
    struct stats stats;
    struct flaky flaky;
    uint64_t connection_changes; /* opened or closed: tells the loop that it happened */
};

struct route;

/* One request and its answer, from the request line until the last byte is sent.
 * A route's function sets the answer through reply.h; leaving `response` NULL drops the connection.
 */
struct exchange {
    struct site *site;
    struct MHD_Connection *connection; /* borrowed; valid while the exchange is */
    const struct route *route;         /* what it is counted as; NULL until its headers are in */
    const char *path;                  /* decoded, without the query */
    const char *rest;                  /* of the path, behind the route's prefix */
    struct MHD_Response *response;     /* owned until it is queued */
    unsigned status;
    int64_t delay_ns; /* before the answer */
    bool head;        /* asked for by HEAD: headers only */
    bool has_nul;     /* the path held %00, which C strings would hide */
    bool answered;    /* a route has run: what remains is to send its answer */
};

/* Runs the route that the path names and leaves its answer, with its delay, in the exchange. */
void site_answer(struct exchange *x, const char *method);

/* The routes as text, one per line, for the front page and for --help. */
#define ROUTES_TEXT_MAX 4096
void site_describe(char *text, size_t text_size);

/* Serves the site on listening socket `fd` (taken, also on failure) until SIGINT, SIGTERM or, when
 * `until_eof`, the end of stdin. `ready` is printed on stdout once requests are answered.
 * Returns 0 or -errno, with the reason on stderr. Call with both signals blocked. */
int server_run(struct site *site, int fd, uint64_t connections_max, bool until_eof,
               const char *ready);

#endif
