/* SPDX-License-Identifier: MIT */
/* Writing, and how it ends with the server.
 *
 * When the server ends it cancels its tasks: whoever waits for a client, or for its time, goes. An
 * answer that is being sent, though, is finished if the client takes it soon. The cancellation of a
 * write is acknowledged, once, and what is left is written; from then on there is a common end for
 * everything.
 *
 * A long text is a tile over and over. Many tiles go in one system call, which costs less than one
 * call for each: TCP wakes the client less often. Streams have no such call, so it is made here,
 * and weft_fd_wait() does the waiting. */
#include "outgoing.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { PARTS_AT_ONCE = 17 }; /* what is gathered, and 1 MiB of tiles */

#define LAST_CALL_NS (2 * WEFT_S)

void outgoing_init(struct outgoing *out, weft_stream *stream, int64_t patience_ns)
{
    out->stream = stream;
    out->patience_ns = patience_ns;
    out->error = 0;
    out->ending = false;
    out->used = 0;
}

static weft_deadline deadline_of(const struct outgoing *out)
{
    return out->ending ? out->end : weft_after(out->patience_ns);
}

/* Whether to go on after a wait that returned `rc`, which may be the news that the server ends. */
static bool goes_on(struct outgoing *out, ssize_t rc)
{
    if (rc == -ECANCELED && !out->ending) {
        weft_uncancel();
        out->ending = true;
        out->end = weft_after(LAST_CALL_NS);
        return true;
    }
    if (rc < 0)
        out->error = (int)rc;
    return rc >= 0;
}

static void write_all(struct outgoing *out, const char *data, size_t size)
{
    uint64_t end = weft_stream_written(out->stream) + size;

    for (size_t left = size; left > 0 && out->error == 0;
         left = (size_t)(end - weft_stream_written(out->stream)))
        goes_on(out, weft_stream_write(out->stream, data + size - left, left, deadline_of(out)));
}

int outgoing_flush(struct outgoing *out)
{
    write_all(out, out->bytes, out->used);
    out->used = 0;
    return out->error;
}

char *outgoing_room(struct outgoing *out, size_t *ret_size)
{
    if (out->used == OUTGOING_BYTES)
        outgoing_flush(out);
    *ret_size = OUTGOING_BYTES - out->used;
    return out->bytes + out->used;
}

void outgoing_used(struct outgoing *out, size_t size)
{
    out->used += size;
}

void outgoing_put(struct outgoing *out, const void *data, size_t size)
{
    const char *from = data;

    while (size > 0) {
        size_t n;
        char *room = outgoing_room(out, &n);
        n = n < size ? n : size;
        memcpy(room, from, n);
        outgoing_used(out, n);
        from += n;
        size -= n;
    }
}

void outgoing_text(struct outgoing *out, const char *text)
{
    outgoing_put(out, text, strlen(text));
}

void outgoing_number(struct outgoing *out, uint64_t n, unsigned base)
{
    char digits[64];
    size_t at = sizeof digits;

    do {
        digits[--at] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n > 0);
    outgoing_put(out, digits + at, sizeof digits - at);
}

/* Sends what the system takes at once of what is gathered and `size` bytes of tiles behind it, from
 * byte `at` of it all. */
static ssize_t send_parts(struct outgoing *out, const char *tile, size_t tile_bytes, uint64_t at,
                          uint64_t size)
{
    struct iovec parts[PARTS_AT_ONCE];
    struct msghdr message = { .msg_iov = parts };

    if (at < out->used)
        parts[message.msg_iovlen++] = (struct iovec){ out->bytes + at, out->used - (size_t)at };
    uint64_t from = at < out->used ? 0 : at - out->used;
    while (from < size && message.msg_iovlen < PARTS_AT_ONCE) {
        size_t skip = (size_t)(from % tile_bytes);
        uint64_t n = size - from < tile_bytes - skip ? size - from : tile_bytes - skip;
        parts[message.msg_iovlen++] =
            (struct iovec){ (char *)tile + skip, (size_t)n }; /* only read */
        from += n;
    }
    ssize_t n = sendmsg(weft_stream_fd(out->stream), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

void outgoing_repeat(struct outgoing *out, const char *tile, size_t tile_bytes, uint64_t size)
{
    for (uint64_t at = 0; at < out->used + size && out->error == 0;) {
        ssize_t n = send_parts(out, tile, tile_bytes, at, size);
        if (n == -EAGAIN) {
            goes_on(out, weft_fd_wait(weft_stream_fd(out->stream), POLLOUT, deadline_of(out)));
        } else if (goes_on(out, n)) {
            at += (uint64_t)n;
            goes_on(out, weft_yield()); /* there may always be room */
        }
    }
    out->used = 0;
}

int outgoing_wait(struct outgoing *out, int64_t ns)
{
    if (out->error == 0)
        out->error = out->ending ? -ECANCELED : weft_sleep_until(weft_after(ns));
    return out->error;
}
