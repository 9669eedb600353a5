/* SPDX-License-Identifier: MIT */
/* HTTP's side of an answer: its head, and its body in the form that the head has announced.
 *
 * A body has a length, or comes in chunks, or, for a client of HTTP/1.0, ends with the connection.
 * Whatever the body, its last bytes stay in the output: the caller counts the request as answered
 * and only then sends them, so that no client can find its own request still being counted. */
#include "send.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "request.h"

enum {
    TILE_BYTES = 64 << 10,
    LAST_BYTES = 4 << 10,
    CHUNK_BYTES = 1 << 20,
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void answer_deinit(struct answer *answer)
{
    free(answer->headers);
    if (answer->body == BODY_BYTES)
        free(answer->bytes);
    else if (answer->body == BODY_FILE)
        close(answer->file);
    *answer = (struct answer){ 0 };
}

/* ---- the head */

static void put_header(struct outgoing *out, const char *name, const char *value)
{
    outgoing_text(out, name);
    outgoing_text(out, ": ");
    outgoing_text(out, value);
    outgoing_text(out, "\r\n");
}

static void put_date(struct outgoing *out)
{
    char text[40];
    time_t now = time(NULL);
    struct tm tm;

    /* In English: the tool sets the locale for names in other scripts, not for dates. */
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    put_header(out, "Date", text);
}

static void put_status(struct outgoing *out, unsigned status)
{
    const char *reason = http_status_str((enum http_status)status);

    outgoing_text(out, "HTTP/1.1 ");
    outgoing_number(out, status, 10);
    outgoing_text(out, " ");
    outgoing_text(out, reason[0] != '<' ? reason : "Unknown");
    outgoing_text(out, "\r\n");
}

static bool is_chunked(const struct answer *answer)
{
    return answer->body == BODY_LINES && answer->lines.chunked;
}

static void put_head(struct outgoing *out, const struct answer *answer, bool old, bool keep)
{
    put_status(out, answer->status);
    put_date(out);
    if (answer->type != NULL)
        put_header(out, "Content-Type", answer->type);
    if (answer->headers != NULL)
        outgoing_text(out, answer->headers);
    if (is_chunked(answer)) {
        if (!old)
            put_header(out, "Transfer-Encoding", "chunked");
    } else if (answer->body != BODY_NONE) {
        outgoing_text(out, "Content-Length: ");
        outgoing_number(out, answer->size, 10);
        outgoing_text(out, "\r\n");
    }
    if (!keep)
        put_header(out, "Connection", "close");
    else if (old)
        put_header(out, "Connection", "keep-alive");
    outgoing_text(out, "\r\n");
}

/* ---- lines */

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

static void put_lines(struct outgoing *out, const char *line, uint64_t from, uint64_t until)
{
    while (from < until && out->error == 0) {
        size_t room;
        char *to = outgoing_room(out, &room);
        size_t n = (size_t)least(room, until - from);
        fill(to, n, line, from);
        outgoing_used(out, n);
        from += n;
    }
}

/* Many lines are made once, as a tile of whole ones, and sent again and again, so that every tile
 * begins at the same place of a line. Returns how far it came: to the last bytes, which are put. */
static uint64_t send_tiles(struct outgoing *out, const char *line, uint64_t from, uint64_t until)
{
    char tile[TILE_BYTES]; /* stacks are large, and memory is taken only by those who come here */
    size_t tile_bytes = TILE_BYTES - TILE_BYTES % strlen(line);

    fill(tile, tile_bytes, line, from);
    outgoing_repeat(out, tile, tile_bytes, until - from - LAST_BYTES);
    return until - LAST_BYTES;
}

static void put_text(struct outgoing *out, const char *line, uint64_t from, uint64_t until)
{
    if (until - from > TILE_BYTES)
        from = send_tiles(out, line, from, until);
    put_lines(out, line, from, until);
}

/* Where the piece that begins at `from` ends. */
static uint64_t end_of_piece(const struct lines *lines, uint64_t from, uint64_t size)
{
    if (lines->piece > 0)
        return from + least(lines->piece, size - from);
    return lines->chunked ? from + least(CHUNK_BYTES, size - from) : size;
}

static void put_piece(struct outgoing *out, const struct lines *lines, uint64_t from,
                      uint64_t until, bool chunked)
{
    if (chunked) {
        outgoing_number(out, until - from, 16);
        outgoing_text(out, "\r\n");
    }
    put_text(out, lines->line, from, until);
    if (chunked)
        outgoing_text(out, "\r\n");
}

static void put_pieces(struct outgoing *out, const struct lines *lines, uint64_t size, bool chunked)
{
    uint64_t until = lines->cut ? size / 2 : size;

    for (uint64_t from = 0; from < until && out->error == 0;) {
        uint64_t end = end_of_piece(lines, from, until);
        if (from > 0 && lines->wait_ns > 0 &&
            (outgoing_flush(out) < 0 || outgoing_wait(out, lines->wait_ns) < 0))
            return;
        put_piece(out, lines, from, end, chunked);
        from = end;
    }
    if (chunked)
        outgoing_text(out, "0\r\n\r\n");
}

/* ---- files */

/* The system has most files in memory; a read from a disk holds up the other tasks of this thread
 * for the time of one piece. */
static void put_file(struct outgoing *out, int file, uint64_t size)
{
    for (uint64_t at = 0; at < size && out->error == 0;) {
        size_t room;
        char *to = outgoing_room(out, &room);
        ssize_t n = pread(file, to, (size_t)least(room, size - at), (off_t)at);
        if (n > 0) {
            outgoing_used(out, (size_t)n);
            at += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            out->error = n == 0 ? -EIO : -errno; /* shorter than announced: nothing can mend that */
        }
    }
}

static void put_body(struct outgoing *out, const struct answer *answer, bool chunked)
{
    switch (answer->body) {
    case BODY_NONE:
        break;
    case BODY_BYTES:
        outgoing_put(out, answer->bytes, (size_t)answer->size);
        break;
    case BODY_LINES:
        put_pieces(out, &answer->lines, answer->size, chunked);
        break;
    case BODY_FILE:
        put_file(out, answer->file, answer->size);
        break;
    }
}

bool send_answer(const struct exchange *x, struct outgoing *out, bool keep)
{
    const struct answer *answer = &x->answer;
    bool old = x->request->parser.http_minor == 0;
    bool unbounded = is_chunked(answer) && old;
    bool cut = answer->body == BODY_LINES && answer->lines.cut && !x->head;

    keep = keep && !unbounded && !cut;
    put_head(out, answer, old, keep);
    if (!x->head)
        put_body(out, answer, is_chunked(answer) && !old);
    return keep;
}
