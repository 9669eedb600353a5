/* SPDX-License-Identifier: MIT */
/* task/overflow.h: a task that overflows its stack is named before the program dies of it. */
#ifndef WEFT_TASK_OVERFLOW_H
#define WEFT_TASK_OVERFLOW_H

/* Puts a handler before the program's own for SIGSEGV. Once. Returns 0 or a negative errno value.
 */
int overflow_install(void);

struct worker;

/* Gives the calling thread, the worker's, a stack for signal handlers, unless it has one. Returns
   0; -ENOMEM. */
int overflow_watch(struct worker *worker);

/* Takes it back: the thread runs no tasks after all. */
void overflow_unwatch(struct worker *worker);

#endif
