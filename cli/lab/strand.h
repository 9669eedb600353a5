/* SPDX-License-Identifier: MIT */
/* Measuring as a strand that Ctrl-C ends. */
#ifndef LAB_STRAND_H
#define LAB_STRAND_H

#include <weft.h>

/* Runs fn as a strand, which finds `pointer` in its argument (lab_strand_pointer()), and waits for
 * its end; the first SIGINT, SIGTERM or SIGHUP cancels it. Returns what fn returned, or -errno if
 * it could not be run. To be called once, while there is one thread: until it returns these signals
 * do nothing else. */
int lab_strand_run(weft_fn *fn, void *pointer);

void *lab_strand_pointer(const weft_call *call);

#endif
