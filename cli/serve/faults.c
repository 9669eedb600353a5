/* SPDX-License-Identifier: MIT */
/* Answers that fail in the ways that servers and networks do: statuses, redirects, failing at
 * first, and connections that are closed before or within the answer. */
#include "routes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reply.h"

/* ?retry_after= is passed on as it is, so that dates and nonsense can be tried as well. */
static void add_retry_after(struct exchange *x)
{
    const char *retry_after = query_text(x, "retry_after");

    if (retry_after != NULL)
        reply_header(x, "Retry-After", retry_after);
}

static bool bodiless(uint64_t status)
{
    return status == HTTP_STATUS_NO_CONTENT || status == HTTP_STATUS_RESET_CONTENT ||
           status == HTTP_STATUS_NOT_MODIFIED;
}

void answer_status(struct exchange *x)
{
    uint64_t status;

    /* 1xx is left out: a client waits on for the answer proper, and would for ever. */
    if (path_number(x, 200, 599, &status) < 0)
        return;
    if (bodiless(status))
        reply_empty(x, (unsigned)status);
    else
        reply_text(x, (unsigned)status, "status %" PRIu64, status);
    add_retry_after(x);
}

/* Where a chain with `left` more hops to do leads. To be freed; NULL: out of memory. */
static char *next_hop(const struct exchange *x, uint64_t left, uint64_t code)
{
    const char *to = query_text(x, "to");
    char *next = NULL;

    if (left == 0)
        return strdup(to != NULL ? to : "/page/0");
    char *encoded = url_encode(to != NULL ? to : "/page/0", "/");
    if (encoded == NULL ||
        asprintf(&next, "/redirect/%" PRIu64 "?to=%s&code=%" PRIu64, left, encoded, code) < 0)
        next = NULL;
    free(encoded);
    return next;
}

void answer_redirect(struct exchange *x)
{
    uint64_t hops = 0;
    uint64_t code;
    char *location;

    if (query_number(x, "code", 399, HTTP_STATUS_FOUND, &code) < 0)
        return;
    if (code < 300) {
        reply_text(x, HTTP_STATUS_BAD_REQUEST, "code: '%" PRIu64 "' is not a redirection", code);
        return;
    }
    if (strcmp(x->rest, "loop") == 0)
        location = strdup(x->path);
    else if (path_number(x, 1, UINT64_MAX, &hops) < 0)
        return;
    else
        location = next_hop(x, hops - 1, code);
    if (location == NULL) {
        reply_drop(x);
        return;
    }
    reply_text(x, (unsigned)code, "go to %s", location);
    reply_header(x, "Location", location);
    free(location);
}

void answer_flaky(struct exchange *x)
{
    const char *key = query_text(x, "key");
    uint64_t failures;
    uint64_t status;
    uint64_t before = 0;

    if (path_number(x, 0, UINT64_MAX, &failures) < 0 ||
        query_number(x, "status", 599, HTTP_STATUS_SERVICE_UNAVAILABLE, &status) < 0)
        return;
    if (status < 400) {
        reply_text(x, HTTP_STATUS_BAD_REQUEST, "status: '%" PRIu64 "' is not from 400 to 599",
                   status);
        return;
    }
    weft_lock_lock(&x->site->lock);
    int rc = flaky_count(&x->site->flaky, x->path, key != NULL ? key : "", &before);
    weft_lock_release(&x->site->lock);
    if (rc < 0) {
        reply_text(x, HTTP_STATUS_INSUFFICIENT_STORAGE, "%s; /stats/reset makes room",
                   rc == -ENOSPC ? "too many flaky addresses" : "out of memory");
    } else if (before < failures) {
        reply_text(x, (unsigned)status, "failure %" PRIu64 " of %" PRIu64, before + 1, failures);
        add_retry_after(x);
    } else {
        reply_text(x, HTTP_STATUS_OK, "flaky %" PRIu64 " answers", failures);
    }
}

void answer_drop(struct exchange *x)
{
    uint64_t reset;

    if (query_number(x, "reset", 1, 0, &reset) < 0)
        return;
    reply_drop(x);
    x->reset = reset == 1;
}

void answer_drop_body(struct exchange *x)
{
    struct lines dots = { .line = ".", .cut = true };
    uint64_t bytes;

    if (query_number(x, "bytes", STREAM_BYTES_MAX, 1000, &bytes) == 0)
        reply_lines(x, bytes, &dots);
}
