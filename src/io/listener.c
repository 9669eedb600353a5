/* SPDX-License-Identifier: MIT */
/*
 * io/listener.c: accepting connections.
 *
 * Without descriptors accept() fails before it takes a connection, so none is lost; but a loop
 * around it would spin. `pause_until_ns` makes the next calls wait a little first.
 *
 * A Unix listener that was shut down is always ready, and yet its accept() says EAGAIN when it does
 * not wait. So there the waiting is for poll(), which says POLLHUP.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <weft/listener.h>

#include "base/atomic.h"
#include "io/op.h"
#include "io/socket.h"
#include "io/stream.h"

#define PAUSE_NS (10 * WEFT_MS)

struct weft_listener {
    int fd;
    bool is_unix;
    uint64_t identity;
    struct socket_file file;
    int64_t pause_until_ns; /* atomic; 0: nothing was wrong lately */
};

/* The descriptor is the listener's on success. */
static int make(weft_listener **ret, int fd, const struct socket_file *file)
{
    weft_listener *listener = malloc(sizeof *listener);
    if (!listener)
        return -ENOMEM;
    *listener = (weft_listener){ .fd = fd, .identity = io_identity(), .file = *file };
    listener->is_unix = socket_option(fd, SO_DOMAIN) == AF_UNIX;
    *ret = listener;
    return 0;
}

int weft_listener_open(weft_listener **ret_listener, const char *address, int backlog)
{
    struct socket_file file = { .path = "" };
    int fd = socket_open_at(address, ADDRESS_LISTEN, SOCK_STREAM, &file);
    if (fd < 0)
        return fd;
    int rc = listen(fd, backlog > 0 ? backlog : SOMAXCONN) < 0 ? -errno : 0;
    if (rc == 0)
        rc = make(ret_listener, fd, &file);
    if (rc < 0) {
        close(fd);
        socket_file_remove(&file);
    }
    return rc;
}

int weft_listener_adopt(weft_listener **ret_listener, int fd)
{
    int listens = socket_option(fd, SO_ACCEPTCONN);
    if (listens < 0)
        return listens;
    if (!listens || socket_option(fd, SO_TYPE) != SOCK_STREAM)
        return -EINVAL;
    weft_listener *listener;
    int rc = make(&listener, fd, &(struct socket_file){ .path = "" });
    if (rc == 0)
        rc = socket_own(fd);
    else
        return rc;
    if (rc < 0)
        free(listener);
    else
        *ret_listener = listener;
    return rc;
}

/* Errors of a connection that has ended in the queue, which accept() tells of instead of it. */
static bool passes_over(ssize_t error)
{
    switch (error) {
    case -ECONNABORTED:
    case -EPROTO:
    case -ENOPROTOOPT:
    case -ENETDOWN:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -EHOSTUNREACH:
    case -ENONET:
    case -EPERM: /* a firewall's */
        return true;
    default:
        return false;
    }
}

static ssize_t accept_unix(weft_listener *listener, struct io_op *op, weft_deadline deadline)
{
    for (;;) {
        ssize_t n = io_run(op, WEFT_NOW);
        if (n != -ETIMEDOUT)
            return n;
        struct io_op ready = {
            .code = IO_POLL, .fd = listener->fd, .identity = listener->identity, .flags = POLLIN
        };
        n = io_run(&ready, deadline);
        if (n < 0)
            return n;
        if (n & POLLHUP)
            return -EPIPE;
    }
}

/* The descriptor of the next connection; the address of its peer, if that is not longer. */
static ssize_t accept_fd(weft_listener *listener, struct weft_stream *stream,
                         weft_deadline deadline)
{
    for (;;) {
        socklen_t size = sizeof stream->peer;
        struct io_op op = {
            .code = IO_ACCEPT,
            .fd = listener->fd,
            .identity = listener->identity,
            .flags = SOCK_NONBLOCK | SOCK_CLOEXEC,
            .address = &stream->peer.any,
            .address_size = &size,
        };
        ssize_t fd =
            listener->is_unix ? accept_unix(listener, &op, deadline) : io_run(&op, deadline);
        if (!passes_over(fd))
            return fd == -EINVAL ? -EPIPE : fd; /* what TCP calls a listener that was shut down */
    }
}

static bool is_shortage(ssize_t error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

/* After a shortage. When this ends early, the call still tries. */
static void wait_a_little(weft_listener *listener, weft_deadline deadline)
{
    /* relaxed, as all uses of it: a hint about time */
    int64_t until_ns = load_relaxed(&listener->pause_until_ns);
    if (!until_ns || deadline.ns <= 0)
        return;
    (void)weft_sleep_until(weft_sooner(deadline, (weft_deadline){ until_ns }));
    store_relaxed(&listener->pause_until_ns, 0);
}

int weft_listener_accept(weft_listener *listener, weft_stream **ret_stream, weft_deadline deadline)
{
    struct weft_stream *stream = stream_new(); /* first: a connection is not to be lost for it */
    if (!stream)
        return -ENOMEM;
    wait_a_little(listener, deadline);
    ssize_t fd = accept_fd(listener, stream, deadline);
    if (fd < 0) {
        stream_drop(stream);
        if (is_shortage(fd))
            store_relaxed(&listener->pause_until_ns, weft_after(PAUSE_NS).ns);
        return (int)fd;
    }
    stream_begin(stream, (int)fd, false);
    *ret_stream = stream;
    return 0;
}

void weft_listener_shutdown(weft_listener *listener)
{
    (void)shutdown(listener->fd, SHUT_RDWR);
}

int weft_listener_address(const weft_listener *listener, char *text, size_t size)
{
    return address_of(listener->fd, getsockname, text, size);
}

int weft_listener_fd(const weft_listener *listener)
{
    return listener->fd;
}

void weft_listener_close(weft_listener *listener)
{
    if (!listener)
        return;
    close(listener->fd);
    socket_file_remove(&listener->file);
    free(listener);
}
