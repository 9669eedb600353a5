/* SPDX-License-Identifier: MIT */
/*
 * io/stream.c: streams: their beginning and end, writing, addresses. read.c reads, dial.c connects.
 *
 * A stream has no lock and no state that both directions use: one strand may read and another
 * write. What is constant is set before the stream is shown to anybody.
 *
 * A pipe cannot be shut down. Its descriptor is replaced by one of /dev/null instead, which closes
 * the pipe and leaves the number in use, so that it cannot become somebody else's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "io/op.h"
#include "io/socket.h"
#include "io/stream.h"

enum { WINDOW = 64 }; /* parts that one system call gets */

struct weft_stream *stream_new(void)
{
    struct weft_stream *stream = aligned_alloc(_Alignof(struct weft_stream), sizeof *stream);
    if (stream)
        *stream = (struct weft_stream){ .fd = -1 };
    return stream;
}

void stream_drop(struct weft_stream *stream)
{
    free(stream);
}

void stream_begin(struct weft_stream *stream, int fd, bool is_pipe)
{
    stream->fd = fd;
    stream->is_pipe = is_pipe;
    stream->identity = io_identity();
}

/* Returns 0: a socket; 1: a pipe or the like; -EBADF, -EINVAL. */
static int kind_of(int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return -errno;
    if (S_ISFIFO(stat.st_mode) || S_ISCHR(stat.st_mode))
        return 1;
    if (!S_ISSOCK(stat.st_mode) || socket_option(fd, SO_ACCEPTCONN) > 0)
        return -EINVAL;
    return socket_option(fd, SO_TYPE) == SOCK_STREAM ? 0 : -EINVAL;
}

int weft_stream_adopt(weft_stream **ret_stream, int fd)
{
    int is_pipe = kind_of(fd);
    if (is_pipe < 0)
        return is_pipe;
    struct weft_stream *stream = stream_new();
    if (!stream)
        return -ENOMEM;
    int rc = socket_own(fd);
    if (rc < 0) {
        stream_drop(stream);
        return rc;
    }
    stream_begin(stream, fd, is_pipe);
    *ret_stream = stream;
    return 0;
}

static void count_written(struct weft_stream *stream, size_t n)
{
    /* relaxed: a count; only the writer changes it */
    store_relaxed(&stream->written, stream->written + n);
}

ssize_t weft_stream_write(weft_stream *stream, const void *data, size_t size,
                          weft_deadline deadline)
{
    for (size_t done = 0; done < size;) {
        struct io_op op = {
            .code = stream->is_pipe ? IO_WRITE : IO_SEND,
            .fd = stream->fd,
            .identity = stream->identity,
            .data = (char *)data + done, /* only read */
            .size = size - done,
            .offset = IO_STREAM,
        };
        ssize_t n = io_run(&op, deadline);
        if (n < 0)
            return n;
        done += (size_t)n;
        count_written(stream, (size_t)n);
    }
    return (ssize_t)size;
}

/* What of a list of parts is still to be written. */
struct rest {
    const struct iovec *parts;
    size_t count;
    size_t skip; /* so much of the first has been written */
};

/* How long all parts are together. False: longer than a result can say. */
static bool add_up(const struct iovec *parts, size_t count, size_t *ret_size)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        if (parts[i].iov_len > SSIZE_MAX - size)
            return false;
        else
            size += parts[i].iov_len;
    *ret_size = size;
    return true;
}

/* The parts to be written next, as many as fit. Returns how many. */
static size_t look_at(const struct rest *rest, struct iovec window[WINDOW])
{
    size_t n = rest->count < WINDOW ? rest->count : WINDOW;
    memcpy(window, rest->parts, n * sizeof *window);
    window[0].iov_base = (char *)window[0].iov_base + rest->skip;
    window[0].iov_len -= rest->skip;
    return n;
}

/* n bytes more have been written; and parts without any, if they come next. */
static void go_on(struct rest *rest, size_t n)
{
    for (n += rest->skip; rest->count && n >= rest->parts->iov_len; rest->count--)
        n -= rest->parts++->iov_len;
    rest->skip = n;
}

ssize_t weft_stream_writev(weft_stream *stream, const struct iovec *parts, size_t count,
                           weft_deadline deadline)
{
    size_t size;
    struct rest rest = { .parts = parts, .count = count };
    if (!add_up(parts, count, &size))
        return -EINVAL;
    for (go_on(&rest, 0); rest.count;) {
        struct iovec window[WINDOW];
        struct msghdr message = { .msg_iov = window, .msg_iovlen = look_at(&rest, window) };
        struct io_op op = {
            .code = stream->is_pipe ? IO_WRITEV : IO_SENDMSG,
            .fd = stream->fd,
            .identity = stream->identity,
            .message = &message,
            .offset = IO_STREAM,
        };
        ssize_t n = io_run(&op, deadline);
        if (n < 0)
            return n;
        go_on(&rest, (size_t)n);
        count_written(stream, (size_t)n);
    }
    return (ssize_t)size;
}

uint64_t weft_stream_written(const weft_stream *stream)
{
    return load_relaxed(&stream->written); /* relaxed: as above */
}

static int end_pipe(struct weft_stream *stream)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    int rc = dup3(null, stream->fd, O_CLOEXEC) < 0 ? -errno : 0;
    stream->identity = io_identity(); /* for the reactors it is another */
    close(null);
    return rc;
}

int weft_stream_shutdown(weft_stream *stream, int how)
{
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        return -EINVAL;
    if (stream->is_pipe)
        return end_pipe(stream);
    if (shutdown(stream->fd, how) < 0 && errno != ENOTCONN)
        return -errno;
    return 0;
}

int weft_stream_peer(const weft_stream *stream, char *text, size_t size)
{
    struct address address = { .size = 0 };
    switch (stream->peer.any.sa_family) {
    case AF_INET:
        address.v4 = stream->peer.v4;
        return address_format(&address, text, size);
    case AF_INET6:
        address.v6 = stream->peer.v6;
        return address_format(&address, text, size);
    default:
        return address_of(stream->fd, getpeername, text, size);
    }
}

int weft_stream_address(const weft_stream *stream, char *text, size_t size)
{
    return address_of(stream->fd, getsockname, text, size);
}

int weft_stream_fd(const weft_stream *stream)
{
    return stream->fd;
}

void weft_stream_close(weft_stream *stream)
{
    if (!stream)
        return;
    close(stream->fd);
    free(stream->buffer);
    stream_drop(stream);
}
