/* SPDX-License-Identifier: MIT */
/* process/worker.h: what a process does all its life. */
#ifndef WEFT_PROCESS_WORKER_H
#define WEFT_PROCESS_WORKER_H

#include "process/surroundings.h"

/* Runs the calls that come by this descriptor until there are no more, then ends the process. */
__attribute__((noreturn)) void worker_run(int channel_fd);

/*
 * The same in the image of the program that this process runs after the first: it goes on where the
 * first has stopped.
 * Shape    so_far: what went wrong on the way; error 0: nothing.
 */
__attribute__((noreturn)) void worker_go_on(int channel_fd,
                                            const struct surroundings_failure *so_far);

#endif
