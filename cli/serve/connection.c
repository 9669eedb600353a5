/* SPDX-License-Identifier: MIT */
/* One client, served in a straight line: a request is read, its answer made, waited for and sent,
 * and so on until either side wants no more.
 *
 *   request_read_head()  its headers are in          -> its route is known, it is counted
 *   request_read_body()  its body, if any, is in     -> its route makes the answer
 *   outgoing_wait()        the answer is due
 *   send_answer()        all but the last part of it has been sent
 *   route_end()          it is not counted any more
 *   outgoing_flush()       the client has all of it
 *
 * Requests that a client sends without waiting for answers lie in the input until their turn. */
#include "connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "outgoing.h"
#include "reply.h"
#include "request.h"
#include "routes.h"
#include "send.h"

/* How long, and for how much, a client is listened to that has been told to go. */
#define LINGER_NS WEFT_S
enum { LINGER_BYTES = 1 << 20 };

struct connection {
    struct site *site;
    weft_stream *stream;
    struct request request;
    struct outgoing out;
};

/* Closing the stream will send a reset. If this fails it is closed the ordinary way, which is a
 * drop as well. */
static void reset(struct connection *c)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(weft_stream_fd(c->stream), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* Returns whether the connection goes on. */
static bool answer(struct connection *c, struct exchange *x)
{
    bool keep = false;

    site_answer(x);
    int rc = x->delay_ns > 0 ? outgoing_wait(&c->out, x->delay_ns) : 0;
    if (rc == 0 && x->answer.status != 0)
        keep = send_answer(x, &c->out, c->request.keep);
    route_end(x);
    if (x->reset)
        reset(c);
    return outgoing_flush(&c->out) == 0 && keep && !c->out.ending;
}

/* Closing on a client that is still sending would reset the connection, and the client might never
 * see what it was told: so what comes is taken for a little while. */
static void linger(struct connection *c)
{
    weft_deadline deadline = weft_after(LINGER_NS);
    size_t taken = 0;
    ssize_t n;

    if (weft_stream_shutdown(c->stream, SHUT_WR) < 0)
        return;
    do {
        n = weft_stream_read(c->stream, c->request.input, sizeof c->request.input, deadline);
        taken += n > 0 ? (size_t)n : 0;
    } while (n > 0 && taken < LINGER_BYTES);
}

/* Answers what is no request, or one that the server has no patience for. */
static void refuse(struct connection *c)
{
    struct exchange x = { .site = c->site, .request = &c->request };

    reply_text(&x, c->request.wrong, "%s", http_status_str((enum http_status)c->request.wrong));
    if (x.answer.status != 0)
        send_answer(&x, &c->out, false);
    answer_deinit(&x.answer);
    if (outgoing_flush(&c->out) == 0)
        linger(c);
}

/* Returns 1: the connection goes on; 0: it ends; or an error, as those of reading a request. */
static int serve_request(struct connection *c)
{
    struct request *r = &c->request;
    struct exchange x = { .site = c->site, .request = r };
    int rc = request_read_head(r, c->stream, c->site->patience_ns);

    if (rc < 0)
        return rc;
    x.path = r->path;
    x.head = strcmp(r->method, "HEAD") == 0;
    route_find(&x);
    route_begin(&x);
    rc = request_read_body(r, c->stream, c->site->patience_ns);
    if (rc == 0)
        rc = answer(c, &x);
    else
        route_end(&x);
    answer_deinit(&x.answer);
    return rc;
}

void connection_run(struct site *site, weft_stream *stream)
{
    struct connection c; /* not all set to zero: most of it is never used */
    int rc;

    c.site = site;
    c.stream = stream;
    request_init(&c.request);
    outgoing_init(&c.out, stream, site->patience_ns);
    do
        rc = serve_request(&c);
    while (rc > 0);
    if (rc == -EPROTO)
        refuse(&c);
}
