/* SPDX-License-Identifier: MIT */
/* What a client asks, read from its connection. */
#ifndef SERVE_REQUEST_H
#define SERVE_REQUEST_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft.h>

#define HEAD_BYTES_MAX   (32 << 10) /* the request line with all headers */
#define HEADERS_MAX      100
#define PARAMETERS_MAX   32
#define BODY_BYTES_MAX   (UINT64_C(1) << 30) /* read and forgotten */
#define BODY_PIECE_BYTES (16 << 10)

struct text {
    char *at; /* in the request's input */
    size_t length;
};

/* A name with its value. Once the head is there, both end with a NUL as well. */
struct pair {
    struct text name, value;
};

/* The requests of one connection, one after the other. It is large and lives on the stack of the
 * connection's task; only what is used of it takes memory. */
struct request {
    http_parser parser;
    const char *method;
    const char *path;                       /* decoded, without the query */
    struct pair headers[HEADERS_MAX];       /* in their order */
    struct pair parameters[PARAMETERS_MAX]; /* decoded; value.at is NULL without a '=' */
    size_t headers_count, parameters_count;
    bool has_nul;   /* the address held %00, which C strings would hide */
    bool keep;      /* the client wants the connection to stay */
    unsigned wrong; /* the status of the refusal, after -EPROTO */

    struct text url;       /* private from here on */
    bool in_value;         /* the last thing parsed was part of a header's value */
    bool head_done, done;  /* how far the parser is */
    uint64_t body_bytes;   /* read so far */
    size_t parsed, filled; /* of the input */
    size_t body_from;      /* where the body is read to */
    char input[HEAD_BYTES_MAX + BODY_PIECE_BYTES];
};

/* Before the first request of a connection. */
void request_init(struct request *r);

/* Reads the next request up to the end of its head. What belongs to the one before is gone.
 * Returns 0; -EPROTO: the client is to be refused with status `wrong`; -ENODATA: it has closed, or
 * was idle for too long; or an error of the stream's. */
int request_read_head(struct request *r, weft_stream *stream, int64_t patience_ns);

/* Reads the rest and forgets it. A client that asks whether to send it at all is told to first.
 * Returns as request_read_head(); `keep` is known then. */
int request_read_body(struct request *r, weft_stream *stream, int64_t patience_ns);

/* A parameter of the query, or NULL. Borrowed until the next request. */
const char *request_parameter(const struct request *r, const char *name);

#endif
