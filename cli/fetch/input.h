/* SPDX-License-Identifier: MIT */
/* The URLs: read by a strand of its own, handed over in batches through a bounded queue. */
#ifndef FETCH_INPUT_H
#define FETCH_INPUT_H

#include <weft.h>

struct settings;

/* The longest line that can be a URL. */
#define INPUT_LINE_MAX 16384

/* What is wrong with a URL as far as it can be seen without libcurl, which sees the rest later;
 * NULL: nothing. A constant string. */
const char *url_complaint(const char *text, size_t length);

/* Where a URL came from. */
struct origin {
    const char *name; /* of the file, "standard input"; NULL: the command line */
    uint64_t line;    /* from 1 */
};

struct input;

/* Starts reading. Settings are borrowed until input_close(). Returns 0 or -errno. */
int input_open(struct input **ret_input, const struct settings *settings);

/* Stops reading and frees what was not taken. NULL is allowed. */
void input_close(struct input *input);

/* The next URL: *ret_text is valid until the next call, and not NUL-terminated.
 * Returns true; false: none is at hand. */
bool input_next(struct input *input, const char **ret_text, size_t *ret_length,
                struct origin *ret_origin);

/* When input_next() has nothing: a case for weft_select(), which brings the next batch, and what to
 * do when it has happened. No case is left when input_ended(). */
weft_case input_case(struct input *input);
void input_arrived(struct input *input, const weft_case *happened);
bool input_ended(const struct input *input);

/* How many URLs there are in all, or 0 while that is not known. */
uint64_t input_total(const struct input *input);

/* Counts and drops what is left. What comes from a pipe or a terminal may never end, so of that
 * only what has been read is counted, and *ret_all is false. */
uint64_t input_drain(struct input *input, bool *ret_all);

/* Files that could not be read to their end; known when input_ended(). */
unsigned input_errors(const struct input *input);

#endif
