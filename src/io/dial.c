/* SPDX-License-Identifier: MIT */
/*
 * io/dial.c: connecting a stream.
 *
 * A name may have several addresses, some of which lead nowhere without saying so. They are tried
 * in turn, each but the last with a share of the time that is left, so that one that is silent does
 * not use up the time of one that would answer. (Trying them at once, as browsers do, would cost
 * every dial of a healthy host a second connection or a timer.)
 */
#include <errno.h>
#include <unistd.h>

#include <weft/scope.h>

#include "io/op.h"
#include "io/socket.h"
#include "io/stream.h"

#define SHARE_MAX_NS (10 * WEFT_S)

static int connect_to(struct weft_stream *stream, struct address *address, weft_deadline deadline)
{
    struct io_op op = {
        .code = IO_CONNECT,
        .fd = stream->fd,
        .identity = stream->identity,
        .address = &address->any,
        .address_size = &address->size,
    };
    return (int)io_run(&op, deadline);
}

/* The descriptor is the stream's only if it connects. */
static int try_address(struct weft_stream *stream, struct address *address, weft_deadline deadline)
{
    int fd = socket_open(address, SOCK_STREAM);
    if (fd < 0)
        return fd;
    stream_begin(stream, fd, false);
    int rc = connect_to(stream, address, deadline);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    if (address->any.sa_family == AF_INET)
        stream->peer.v4 = address->v4;
    else if (address->any.sa_family == AF_INET6)
        stream->peer.v6 = address->v6;
    return 0;
}

/* When the first of n addresses has had its time. */
static weft_deadline share(weft_deadline deadline, int n)
{
    if (n == 1 || deadline.ns <= 0)
        return deadline;
    int64_t ns = weft_left(weft_sooner(deadline, weft_scope_deadline())) / n;
    return weft_after(ns < SHARE_MAX_NS ? ns : SHARE_MAX_NS);
}

int weft_stream_dial(weft_stream **ret_stream, const char *address, weft_deadline deadline)
{
    struct address found[ADDRESSES_MAX];
    int n = address_find(address, ADDRESS_DIAL, found, deadline);
    if (n < 0)
        return n;
    struct weft_stream *stream = stream_new();
    if (!stream)
        return -ENOMEM;
    int rc;
    int i = 0;
    do
        rc = try_address(stream, &found[i], share(deadline, n - i));
    while (rc < 0 && rc != -ECANCELED && ++i < n);
    if (rc < 0)
        stream_drop(stream);
    else
        *ret_stream = stream;
    return rc;
}
