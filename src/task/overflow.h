/* SPDX-License-Identifier: MIT */
/* task/overflow.h: a task that overflows its stack is named before the program dies of it. */
#ifndef WEFT_TASK_OVERFLOW_H
#define WEFT_TASK_OVERFLOW_H

/* Puts a handler before the program's own for SIGSEGV. Once. Returns 0 or a negative errno value.
 */
int overflow_install(void);

/* Gives the calling thread a stack for signal handlers, unless it has one. Returns 0; -ENOMEM. */
int overflow_watch(void);

/* Takes it back: the thread runs no tasks after all. */
void overflow_unwatch(void);

#endif
