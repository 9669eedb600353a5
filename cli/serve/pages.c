/* SPDX-License-Identifier: MIT */
/* Answers that succeed: pages whose every byte a client can foretell, and streams.
 *
 * A page of N is the line "page N" repeated and cut to size; a stream the same with "big" or "drip"
 * and its parameter, so that a lost, doubled or foreign piece shows. */
#include "routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "reply.h"
#include "request.h"

static void page(struct exchange *x, const char *word, uint64_t n, uint64_t bytes)
{
    struct lines lines = { 0 };

    snprintf(lines.line, sizeof lines.line, "%s %" PRIu64 "\n", word, n);
    reply_lines(x, bytes, &lines);
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
    x->delay_ns = (int64_t)ms * WEFT_MS;
}

void answer_big(struct exchange *x)
{
    struct lines lines = { 0 };
    uint64_t bytes;
    uint64_t chunked;

    if (path_number(x, 0, STREAM_BYTES_MAX, &bytes) < 0 ||
        query_number(x, "chunked", 1, 0, &chunked) < 0)
        return;
    lines.chunked = chunked == 1;
    snprintf(lines.line, sizeof lines.line, "big %" PRIu64 "\n", bytes);
    reply_lines(x, bytes, &lines);
}

void answer_drip(struct exchange *x)
{
    struct lines lines = { .chunked = true };
    uint64_t bytes;
    uint64_t pieces;
    uint64_t ms;

    if (query_number(x, "bytes", STREAM_BYTES_MAX, 1000, &bytes) < 0 ||
        query_number(x, "pieces", STREAM_BYTES_MAX, 10, &pieces) < 0 ||
        query_number(x, "ms", DELAY_MS_MAX, 50, &ms) < 0)
        return;
    if (pieces == 0)
        pieces = 1;
    lines.piece = bytes / pieces + (bytes % pieces != 0);
    lines.wait_ns = (int64_t)ms * WEFT_MS;
    snprintf(lines.line, sizeof lines.line, "drip %" PRIu64 "\n", bytes);
    reply_lines(x, bytes, &lines);
}

void answer_echo(struct exchange *x)
{
    const struct request *r = x->request;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    if (to == NULL) {
        reply_drop(x);
        return;
    }
    for (size_t i = 0; i < r->headers_count; i++)
        fprintf(to, "%s: %s\n", r->headers[i].name.at, r->headers[i].value.at);
    if (fclose(to) != 0) {
        free(text);
        reply_drop(x);
        return;
    }
    reply_bytes(x, HTTP_STATUS_OK, "text/plain", text, size);
}
