/* SPDX-License-Identifier: MIT */
/* Answers that fail in the ways that servers and networks do: statuses, redirects, failing at
 * first, and connections that are closed before or within the answer. */
#include "routes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "reply.h"

/* ?retry_after= is passed on as it is, so that dates and nonsense can be tried as well. */
static void add_retry_after(struct exchange *x)
{
    const char *retry_after = query_text(x, "retry_after");

    if (retry_after != NULL)
        reply_header(x, MHD_HTTP_HEADER_RETRY_AFTER, retry_after);
}

static bool bodiless(uint64_t status)
{
    return status == MHD_HTTP_NO_CONTENT || status == MHD_HTTP_RESET_CONTENT ||
           status == MHD_HTTP_NOT_MODIFIED;
}

void answer_status(struct exchange *x)
{
    uint64_t status;

    /* 1xx is left out: a client waits on for the answer proper, and would for ever. */
    if (path_number(x, 200, 599, &status) < 0)
        return;
    if (bodiless(status))
        reply_bytes(x, (unsigned)status, NULL, calloc(1, 1), 0);
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

    if (query_number(x, "code", 399, MHD_HTTP_FOUND, &code) < 0)
        return;
    if (code < 300) {
        reply_text(x, MHD_HTTP_BAD_REQUEST, "code: '%" PRIu64 "' is not a redirection", code);
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
    reply_header(x, MHD_HTTP_HEADER_LOCATION, location);
    free(location);
}

void answer_flaky(struct exchange *x)
{
    const char *key = query_text(x, "key");
    uint64_t failures;
    uint64_t status;
    uint64_t before = 0;

    if (path_number(x, 0, UINT64_MAX, &failures) < 0 ||
        query_number(x, "status", 599, MHD_HTTP_SERVICE_UNAVAILABLE, &status) < 0)
        return;
    if (status < 400) {
        reply_text(x, MHD_HTTP_BAD_REQUEST, "status: '%" PRIu64 "' is not from 400 to 599", status);
        return;
    }
    int rc = flaky_count(&x->site->flaky, x->path, key != NULL ? key : "", &before);
    if (rc < 0) {
        reply_text(x, MHD_HTTP_INSUFFICIENT_STORAGE, "%s; /stats/reset makes room",
                   rc == -ENOSPC ? "too many flaky addresses" : "out of memory");
    } else if (before < failures) {
        reply_text(x, (unsigned)status, "failure %" PRIu64 " of %" PRIu64, before + 1, failures);
        add_retry_after(x);
    } else {
        reply_text(x, MHD_HTTP_OK, "flaky %" PRIu64 " answers", failures);
    }
}

void answer_drop(struct exchange *x)
{
    uint64_t reset;
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    if (query_number(x, "reset", 1, 0, &reset) < 0)
        return;
    if (reset == 1) {
        int fd =
            MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        /* If this fails the connection is closed the ordinary way, which is a drop as well. */
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    reply_drop(x);
}

static ssize_t read_half(void *cls, uint64_t at, char *to, size_t room)
{
    uint64_t half = *(const uint64_t *)cls;
    size_t n = at + room < half ? room : (size_t)(half - at);

    if (at >= half)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    memset(to, '.', n);
    return (ssize_t)n;
}

void answer_drop_body(struct exchange *x)
{
    uint64_t bytes;
    struct MHD_Response *response = NULL;

    if (query_number(x, "bytes", STREAM_BYTES_MAX, 1000, &bytes) < 0)
        return;
    uint64_t *half = malloc(sizeof *half);
    if (half != NULL) {
        *half = bytes / 2;
        response =
            MHD_create_response_from_callback(bytes, UINT64_C(64) << 10, read_half, half, free);
    }
    if (response == NULL)
        free(half);
    reply_with(x, MHD_HTTP_OK, "text/plain", response);
}
