/* SPDX-License-Identifier: MIT */
/* task/leaving.h: a thread that runs tasks must not end in the middle of one. */
#ifndef WEFT_TASK_LEAVING_H
#define WEFT_TASK_LEAVING_H

struct worker;

/*
 * From now on, if the calling thread ends while the worker runs a task, that task is named on
 * standard error and the program aborts. (Without that where the system has no thread-local key
 * left.)
 */
void leaving_watch(struct worker *worker);

#endif
