/* SPDX-License-Identifier: MIT */
/* Making an exchange's answer and reading its parameters.
 *
 * Each reply_ function replaces an answer made before. If memory runs out there is no answer, and
 * the connection is dropped, which a client of a test site has to expect anyway. */
#ifndef SERVE_REPLY_H
#define SERVE_REPLY_H

#include "site.h"

/* A line of text. */
void reply_text(struct exchange *x, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* `size` bytes at `data`, which is taken and freed; NULL stands for a failed allocation. */
void reply_bytes(struct exchange *x, unsigned status, const char *type, char *data, size_t size);

/* A body of known bytes, however long. Without a length to tell, if `chunked`, it may come in
 * pieces. */
void reply_lines(struct exchange *x, uint64_t size, const struct lines *lines);

/* A regular file of that size; fd is taken. */
void reply_file(struct exchange *x, const char *type, int fd, uint64_t size);

/* No body. */
void reply_empty(struct exchange *x, unsigned status);

/* Adds a header to the answer; a value that HTTP does not allow becomes a 400. */
void reply_header(struct exchange *x, const char *name, const char *value);

/* No answer: the connection is closed. */
void reply_drop(struct exchange *x);

/* The query's parameter, or NULL. Borrowed until the exchange ends. */
const char *query_text(const struct exchange *x, const char *name);

/* A number from the query, `preset` if it is not given, or from the end of the path.
 * Returns 0, or -EINVAL after answering 400 with what is wrong. */
int query_number(struct exchange *x, const char *name, uint64_t max, uint64_t preset,
                 uint64_t *ret);
int path_number(struct exchange *x, uint64_t min, uint64_t max, uint64_t *ret);

/* Percent-encodes all but letters, digits, "-._~" and the bytes in `keep`. To be freed; NULL: out
 * of memory. */
char *url_encode(const char *text, const char *keep);

#endif
