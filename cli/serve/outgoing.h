/* SPDX-License-Identifier: MIT */
/* What goes to a client, gathered until there is enough of it to be worth a system call. */
#ifndef SERVE_OUTGOING_H
#define SERVE_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft.h>

#define OUTGOING_BYTES (16 << 10)

/* Belongs to a connection's task, and lives on its stack. */
struct outgoing {
    weft_stream *stream; /* borrowed */
    int64_t patience_ns; /* with a client that takes nothing */
    int error;           /* the first one; what is put after it is dropped */
    bool ending;         /* the server ends: what is being sent has a little time left */
    weft_deadline end;   /* until then, when ending */
    size_t used;
    char bytes[OUTGOING_BYTES];
};

void outgoing_init(struct outgoing *out, weft_stream *stream, int64_t patience_ns);

/* Put something behind what is gathered. */
void outgoing_put(struct outgoing *out, const void *data, size_t size);
void outgoing_text(struct outgoing *out, const char *text);
void outgoing_number(struct outgoing *out, uint64_t n, unsigned base);

/* Room behind what is gathered, at least a byte. What is written there is put by outgoing_used().
 */
char *outgoing_room(struct outgoing *out, size_t *ret_size);
void outgoing_used(struct outgoing *out, size_t size);

/* Puts `size` bytes, which are the `tile_bytes` of the tile over and over, without copying them:
 * they are sent at once, behind what is gathered. */
void outgoing_repeat(struct outgoing *out, const char *tile, size_t tile_bytes, uint64_t size);

/* Sends what is gathered. Returns 0 or the first error. */
int outgoing_flush(struct outgoing *out);

/* Waits, unless the server ends. Returns 0 or the first error, -ECANCELED if it is that. */
int outgoing_wait(struct outgoing *out, int64_t ns);

#endif
