/* SPDX-License-Identifier: MIT */
/* Answers that succeed: pages whose every byte a client can foretell, and streams.
 *
 * A page of N is the line "page N" repeated and cut to size; a stream the same with "big" or "drip"
 * and its parameter, so that a lost, doubled or foreign piece shows. */
#include "routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reply.h"

#define LINE_MAX_BYTES 40

/* Fills with the line over and over; `from` is where in the endless text the piece begins. */
static void fill(char *to, size_t size, const char *line, uint64_t from)
{
    size_t length = strlen(line);
    size_t phase = (size_t)(from % length);
    size_t done = 0;

    while (done < size && done < length) {
        to[done] = line[(phase + done) % length];
        done++;
    }
    /* What is there already is whole lines: copying it in doubling steps is as fast as memcpy. */
    while (done < size) {
        size_t more = done < size - done ? done : size - done;
        memcpy(to + done, to, more);
        done += more;
    }
}

static void page(struct exchange *x, const char *word, uint64_t n, uint64_t bytes)
{
    char line[LINE_MAX_BYTES];
    char *body = malloc(bytes > 0 ? bytes : 1);

    snprintf(line, sizeof line, "%s %" PRIu64 "\n", word, n);
    if (body != NULL)
        fill(body, bytes, line, 0);
    reply_bytes(x, MHD_HTTP_OK, "text/plain", body, bytes);
}

void answer_page(struct exchange *x)
{
    uint64_t n;
    uint64_t bytes;

    if (path_number(x, 0, UINT64_MAX, &n) < 0 ||
        query_number(x, "bytes", PAGE_BYTES_MAX, x->site->page_bytes, &bytes) < 0)
        return;
    page(x, "page", n, bytes);
    x->delay_ns = x->site->latency_ns;
}

void answer_slow(struct exchange *x)
{
    uint64_t ms;
    uint64_t bytes;

    if (path_number(x, 0, DELAY_MS_MAX, &ms) < 0 ||
        query_number(x, "bytes", PAGE_BYTES_MAX, x->site->page_bytes, &bytes) < 0)
        return;
    page(x, "slow", ms, bytes);
    x->delay_ns = (int64_t)ms * 1000000;
}

/* A body made while it is sent. */
struct stream {
    char line[LINE_MAX_BYTES];
    uint64_t bytes;                    /* in all */
    uint64_t piece;                    /* bytes sent between two waits; 0: no waits */
    uint64_t sent_until_wait;          /* the position at which the next wait is due */
    int64_t wait_ns;                   /* between pieces */
    struct MHD_Connection *connection; /* borrowed; outlives the stream */
    struct later *later;
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static ssize_t read_stream(void *cls, uint64_t at, char *to, size_t room)
{
    struct stream *stream = cls;

    if (at == stream->bytes)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (stream->piece > 0 && at == stream->sent_until_wait) {
        stream->sent_until_wait = at + least(stream->piece, stream->bytes - at);
        if (at > 0 && stream->wait_ns > 0) {
            later_add(stream->later, stream->connection, stream->wait_ns);
            return 0; /* asked again once resumed */
        }
    }
    uint64_t until = stream->piece > 0 ? stream->sent_until_wait : stream->bytes;
    size_t n = (size_t)least(room, until - at);
    fill(to, n, stream->line, at);
    return (ssize_t)n;
}

/* Sends `from` as the answer, of known length or chunked. */
static void stream(struct exchange *x, struct stream from, bool sized)
{
    struct stream *copy = malloc(sizeof *copy);
    struct MHD_Response *response = NULL;

    if (copy != NULL) {
        *copy = from;
        response = MHD_create_response_from_callback(sized ? from.bytes : MHD_SIZE_UNKNOWN,
                                                     UINT64_C(64) << 10, read_stream, copy, free);
    }
    if (response == NULL)
        free(copy);
    /* libmicrohttpd 0.9.75 ends a chunked answer to HEAD with a last chunk, which the client takes
     * for the next answer; closing instead of chunking avoids it. */
    else if (x->head && !sized)
        (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    reply_with(x, MHD_HTTP_OK, "text/plain", response);
}

void answer_big(struct exchange *x)
{
    struct stream big = { .connection = x->connection, .later = &x->site->later };
    uint64_t chunked;

    if (path_number(x, 0, STREAM_BYTES_MAX, &big.bytes) < 0 ||
        query_number(x, "chunked", 1, 0, &chunked) < 0)
        return;
    snprintf(big.line, sizeof big.line, "big %" PRIu64 "\n", big.bytes);
    stream(x, big, chunked == 0);
}

void answer_drip(struct exchange *x)
{
    struct stream drip = { .connection = x->connection, .later = &x->site->later };
    uint64_t pieces;
    uint64_t ms;

    if (query_number(x, "bytes", STREAM_BYTES_MAX, 1000, &drip.bytes) < 0 ||
        query_number(x, "pieces", STREAM_BYTES_MAX, 10, &pieces) < 0 ||
        query_number(x, "ms", DELAY_MS_MAX, 50, &ms) < 0)
        return;
    if (pieces == 0)
        pieces = 1;
    drip.piece = drip.bytes / pieces + (drip.bytes % pieces != 0);
    drip.wait_ns = (int64_t)ms * 1000000;
    snprintf(drip.line, sizeof drip.line, "drip %" PRIu64 "\n", drip.bytes);
    stream(x, drip, false);
}

static enum MHD_Result print_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    FILE *to = cls;

    (void)kind;
    fprintf(to, "%s: %s\n", name, value != NULL ? value : "");
    return MHD_YES;
}

void answer_echo(struct exchange *x)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    if (to == NULL) {
        reply_drop(x);
        return;
    }
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, print_header, to);
    if (fclose(to) != 0) {
        free(text);
        reply_drop(x);
        return;
    }
    reply_bytes(x, MHD_HTTP_OK, "text/plain", text, size);
}
