/* SPDX-License-Identifier: MIT */
/* The values that people type, on command lines and in URLs: text to number and back.
 *
 * All parsers take the whole text or nothing: no leading blanks, no sign, no rest.
 * Returns 0, -EINVAL (not such a value) or -ERANGE (it is one, but does not fit); *ret is written
 * only on success. */
#ifndef CLI_VALUES_H
#define CLI_VALUES_H

#include <stddef.h>
#include <stdint.h>

/* Decimal digits: "20". */
int value_count(const char *text, uint64_t *ret);

/* Bytes: digits and perhaps k, M or G (powers of 1024, either case): "512", "1k", "16M". */
int value_size(const char *text, uint64_t *ret_bytes);

/* A number, perhaps with a fraction, and us, ms, s, m or h: "250us", "1.5s"; a bare "0" will do. */
int value_duration(const char *text, int64_t *ret_ns);

/* The shortest exact spelling that the parsers above read back. VALUE_TEXT_MAX bytes are enough. */
#define VALUE_TEXT_MAX 32
void value_size_format(char *text, size_t text_size, uint64_t bytes);
void value_duration_format(char *text, size_t text_size, int64_t ns);

#endif
