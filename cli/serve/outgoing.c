/* SPDX-License-Identifier: MIT */
/* Writing, and how it ends with the server.
 *
 * When the server ends it cancels its tasks: whoever waits for a client, or for its time, goes. An
 * answer that is being sent, though, is finished if the client takes it soon. A write that was
 * cancelled is acknowledged once, and goes on with what is left of it; from then on there is a
 * common end for everything. */
#include "outgoing.h"

#include <errno.h>
#include <string.h>

#define LAST_CALL_NS (2 * WEFT_S)

void outgoing_init(struct outgoing *out, weft_stream *stream, int64_t patience_ns)
{
    out->stream = stream;
    out->patience_ns = patience_ns;
    out->error = 0;
    out->ending = false;
    out->used = 0;
}

static void write_all(struct outgoing *out, const char *data, size_t size)
{
    if (out->error < 0 || size == 0)
        return;
    uint64_t before = weft_stream_written(out->stream);
    weft_deadline deadline = out->ending ? out->end : weft_after(out->patience_ns);
    ssize_t n = weft_stream_write(out->stream, data, size, deadline);
    if (n == -ECANCELED && !out->ending) {
        size_t done = (size_t)(weft_stream_written(out->stream) - before);
        weft_uncancel();
        out->ending = true;
        out->end = weft_after(LAST_CALL_NS);
        n = weft_stream_write(out->stream, data + done, size - done, out->end);
    }
    if (n < 0)
        out->error = (int)n;
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

void outgoing_send(struct outgoing *out, const void *data, size_t size)
{
    outgoing_flush(out);
    write_all(out, data, size);
}

int outgoing_wait(struct outgoing *out, int64_t ns)
{
    if (out->error == 0)
        out->error = out->ending ? -ECANCELED : weft_sleep_until(weft_after(ns));
    return out->error;
}
