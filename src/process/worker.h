/* SPDX-License-Identifier: MIT */
/* process/worker.h: what a process does all its life. */
#ifndef WEFT_PROCESS_WORKER_H
#define WEFT_PROCESS_WORKER_H

/* Runs the calls that come by this descriptor until there are no more, then ends the process. */
__attribute__((noreturn)) void worker_run(int channel_fd);

#endif
