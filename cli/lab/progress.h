/* SPDX-License-Identifier: MIT */
/* The line on a terminal that says how far the lab is. */
#ifndef LAB_PROGRESS_H
#define LAB_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool terminal; /* stderr is one, and the line is wanted */
    bool shown;
    int64_t next_draw_ns;
    int64_t end_ns; /* when measuring will be over, at the latest; 0: that is not known */
};

void progress_init(struct progress *progress, bool quiet, int64_t end_ns);

/* Says what is being done now; draws at most ten times a second. */
void progress_show(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes the line away. */
void progress_clear(struct progress *progress);

#endif
