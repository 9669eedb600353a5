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
void reply_bytes(struct exchange *x, unsigned status, const char *type, void *data, size_t size);

/* A response made by the caller, taken; NULL drops the connection. */
void reply_with(struct exchange *x, unsigned status, const char *type,
                struct MHD_Response *response);

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
