/* SPDX-License-Identifier: MIT */
/* The line for each URL, the progress line and the summary. */
#ifndef FETCH_OUTPUT_H
#define FETCH_OUTPUT_H

#include "crew.h"
#include "settings.h"

#include <stdio.h>

/* How it all stands. */
struct counts {
    uint64_t fetched;
    uint64_t failed;
    uint64_t stopped;     /* ended by the user */
    uint64_t not_started; /* because the user wanted to stop */
    uint64_t retries;     /* but for the next */
    uint64_t rescued;     /* retries of what a worker process took with it when it died */
    uint64_t body_bytes;
};

/* A URL that is done. */
struct ending {
    const char *url;
    const char *source; /* of a line that is no URL: its file; else NULL */
    uint64_t line;
    const struct result *result;
    uint32_t attempts;
    uint32_t worker;
};

struct output {
    bool json;
    bool terminal; /* progress is shown */
    bool shown;    /* the terminal's last line is the progress line */
    int64_t started_ns;
    int64_t next_draw_ns; /* INT64_MAX: never */
    int error;            /* of stdout, negative errno: -EPIPE: nobody reads it; 0: none */
};

void output_init(struct output *output, const struct settings *settings);

/* Prints the line; what goes to stdout is held back until output_flush(). */
void output_line(struct output *output, const struct ending *ending);

/* Returns 0 or output->error. */
int output_flush(struct output *output);

/* Draws the progress line if it is time. total: of URLs, 0: not known. */
void output_progress(struct output *output, const struct counts *counts, uint64_t total);

/* Takes the progress line away. */
void output_clear(struct output *output);

/* The longest that a pool is let say of itself. */
enum { EXPLANATION_MAX = 256 };

/* The last lines. all: what was not started has been counted to the end of the input. deaths: of
 * worker processes. explanation: what the pool says of itself; of kind auto, else "". */
void output_interrupted(struct output *output, const struct counts *counts, bool all);
void output_summary(struct output *output, const struct settings *settings,
                    const struct counts *counts, const struct deaths *deaths,
                    const char *explanation, bool all);

#endif
