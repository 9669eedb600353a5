/* SPDX-License-Identifier: MIT */
/*
 * io/read.c: reading from streams.
 *
 * Plain reads go from the system into the caller's memory. Reading exactly, or up to a byte, takes
 * all or nothing: until all of it is there it stays in the stream's buffer, which fetches as much
 * as the system has and so saves calls. Whatever fetched it, the next read of any sort gets it.
 *
 *     buffer |  read before  |  buffered  |  free  |
 *            0             begin         end    capacity
 *
 * The buffer grows to what a call needs, by its caller's limit, and is given back when it has been
 * read empty. A large read_exactly would be copied twice through it; it goes straight into the
 * caller's memory, and the buffer is only made large enough to put it back if the call fails.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/op.h"
#include "io/stream.h"

static size_t buffered(const struct weft_stream *stream)
{
    return stream->end - stream->begin;
}

static ssize_t receive(struct weft_stream *stream, void *data, size_t size, weft_deadline deadline)
{
    struct io_op op = {
        .code = stream->is_pipe ? IO_READ : IO_RECV,
        .fd = stream->fd,
        .identity = stream->identity,
        .data = data,
        .size = size,
        .offset = IO_STREAM,
    };
    return io_run(&op, deadline);
}

/* Forgets what has been read. */
static void consume(struct weft_stream *stream, size_t n)
{
    stream->begin += n;
    if (stream->begin < stream->end)
        return;
    stream->begin = stream->end = 0;
    if (stream->capacity > STREAM_BUFFER_BYTES) {
        free(stream->buffer);
        stream->buffer = NULL;
        stream->capacity = 0;
    }
}

static size_t take(struct weft_stream *stream, void *data, size_t size)
{
    size_t n = buffered(stream) < size ? buffered(stream) : size;
    memcpy(data, stream->buffer + stream->begin, n);
    consume(stream, n);
    return n;
}

/* Makes room for `size` bytes from begin on, in all. Returns 0; -ENOMEM. */
static int make_room(struct weft_stream *stream, size_t size)
{
    if (size <= stream->capacity - stream->begin)
        return 0;
    if (size <= stream->capacity) {
        memmove(stream->buffer, stream->buffer + stream->begin, buffered(stream));
    } else {
        size_t capacity = size < STREAM_BUFFER_BYTES ? STREAM_BUFFER_BYTES : size;
        char *larger = malloc(capacity);
        if (!larger)
            return -ENOMEM;
        if (stream->buffer)
            memcpy(larger, stream->buffer + stream->begin, buffered(stream));
        free(stream->buffer);
        stream->buffer = larger;
        stream->capacity = capacity;
    }
    stream->end -= stream->begin;
    stream->begin = 0;
    return 0;
}

/* Fetches what the system has into the free part. Returns how many bytes; 0: the end; an error. */
static ssize_t fetch(struct weft_stream *stream, weft_deadline deadline)
{
    ssize_t n =
        receive(stream, stream->buffer + stream->end, stream->capacity - stream->end, deadline);
    if (n > 0)
        stream->end += (size_t)n;
    return n;
}

/* What to return when nothing more comes: n is 0 at the end of the stream, or an error. */
static ssize_t ended(const struct weft_stream *stream, ssize_t n)
{
    return n == 0 && buffered(stream) ? -ENODATA : n;
}

size_t weft_stream_buffered(const weft_stream *stream)
{
    return buffered(stream);
}

ssize_t weft_stream_read(weft_stream *stream, void *data, size_t size, weft_deadline deadline)
{
    if (!size)
        return 0; /* to a system call it might mean something */
    if (buffered(stream))
        return (ssize_t)take(stream, data, size);
    return receive(stream, data, size, deadline);
}

static ssize_t read_small(struct weft_stream *stream, void *data, size_t size,
                          weft_deadline deadline)
{
    int rc = make_room(stream, size);
    if (rc < 0)
        return rc;
    while (buffered(stream) < size) {
        ssize_t n = fetch(stream, deadline);
        if (n <= 0)
            return ended(stream, n);
    }
    return (ssize_t)take(stream, data, size);
}

/* What is buffered stays so until all has come, and is in the caller's memory, too. */
static ssize_t read_large(struct weft_stream *stream, char *data, size_t size,
                          weft_deadline deadline)
{
    int rc = make_room(stream, size);
    if (rc < 0)
        return rc;
    size_t had = buffered(stream);
    size_t got = had;
    ssize_t n = 1;
    if (had)
        memcpy(data, stream->buffer + stream->begin, had);
    while (got < size && (n = receive(stream, data + got, size - got, deadline)) > 0)
        got += (size_t)n;
    if (got == size) {
        consume(stream, had);
        return (ssize_t)size;
    }
    memcpy(stream->buffer + stream->end, data + had, got - had);
    stream->end += got - had;
    consume(stream, 0); /* gives the room back if nothing came */
    return ended(stream, n);
}

ssize_t weft_stream_read_exactly(weft_stream *stream, void *data, size_t size,
                                 weft_deadline deadline)
{
    if (size <= buffered(stream))
        return size ? (ssize_t)take(stream, data, size) : 0;
    if (size <= STREAM_BUFFER_BYTES)
        return read_small(stream, data, size, deadline);
    return read_large(stream, data, size, deadline);
}

/* Room for more, of at most `limit` bytes in all: as much as there is, or twice as much. */
static int make_room_for_more(struct weft_stream *stream, size_t limit)
{
    size_t have = buffered(stream);
    if (stream->end < stream->capacity)
        return 0;
    if (have < stream->capacity)
        return make_room(stream, stream->capacity);
    return make_room(stream, 2 * have < limit ? 2 * have : limit);
}

ssize_t weft_stream_read_until(weft_stream *stream, void *data, size_t size, char end,
                               weft_deadline deadline)
{
    int rc = size ? make_room(stream, 1) : -EINVAL;
    if (rc < 0)
        return rc;
    for (size_t looked_at = 0;;) {
        size_t have = buffered(stream) < size ? buffered(stream) : size;
        const char *from = stream->buffer + stream->begin;
        const char *found = memchr(from + looked_at, end, have - looked_at);
        if (found)
            return (ssize_t)take(stream, data, (size_t)(found - from) + 1);
        if (have == size)
            return -EMSGSIZE;
        looked_at = have;
        rc = make_room_for_more(stream, size);
        if (rc < 0)
            return rc;
        ssize_t n = fetch(stream, deadline);
        if (n <= 0)
            return ended(stream, n);
    }
}
