/* SPDX-License-Identifier: MIT */
/* io/stream.h: a stream from the inside. */
#ifndef WEFT_IO_STREAM_H
#define WEFT_IO_STREAM_H

#include <weft/stream.h>

#include "io/address.h"

enum { STREAM_BUFFER_BYTES = 16 * 1024 };

struct weft_stream {
    /* Constant while anybody is inside: */
    int fd;
    bool is_pipe;      /* or a terminal: not a socket */
    uint64_t identity; /* of the descriptor, for the reactors */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer; /* as accept() or dial() met it; of another family: not known */

    /* The reader's: what was fetched and not yet read lies from begin to end. */
    char *buffer; /* NULL: none yet */
    size_t capacity, begin, end;

    /* The writer's, read by others, and apart from what the reader writes to. */
    uint64_t written __attribute__((aligned(64)));
};

/* A stream without a descriptor. Returns NULL: no memory. */
struct weft_stream *stream_new(void);

/* Frees one that has got none. */
void stream_drop(struct weft_stream *stream);

/* Gives it its descriptor. */
void stream_begin(struct weft_stream *stream, int fd, bool is_pipe);

#endif
