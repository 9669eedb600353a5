/* SPDX-License-Identifier: MIT */
/*
 * debug/output.h: the file that a trace becomes: JSON, complete after each output_flush().
 *
 * One event at a time: output_begin(), parts of it, output_end(). Nothing is allocated.
 */
#ifndef WEFT_DEBUG_OUTPUT_H
#define WEFT_DEBUG_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTPUT_EVENT_MAX = 1024, OUTPUT_BUFFER = 128 * 1024 };

struct output {
    int fd;
    int error;          /* why the file takes no more; 0: it does */
    uint64_t bytes_max; /* of the file */
    uint64_t offset;    /* where the next flush writes */
    uint64_t cut;       /* events that did not fit into the file */
    size_t events;      /* begun */
    size_t n, began;    /* in the buffer; where the event at hand begins */
    char buffer[OUTPUT_BUFFER];
};

void output_init(struct output *output, int fd, uint64_t bytes_max);

void output_begin(struct output *output);
void output_text(struct output *output, const char *text);
void output_number(struct output *output, int64_t number);
void output_hex(struct output *output, uint64_t number);

/* Microseconds, with three decimals. */
void output_us(struct output *output, int64_t ns);

/* In quotes, and valid, whatever the text is. */
void output_quoted(struct output *output, const char *text);

/* The event is one more of the file, if that is not to be too long for it. may_exceed: even then;
   there are a few of those. */
void output_end(struct output *output, bool may_exceed);

void output_flush(struct output *output);

#endif
