/* SPDX-License-Identifier: MIT */
/* task/runtime.h: the program's workers, as run.c sees them. */
#ifndef WEFT_TASK_RUNTIME_H
#define WEFT_TASK_RUNTIME_H

#include "task/worker.h"

/*
 * Makes the calling thread the only worker of the program, if it is not yet: one that is in a loop
 * of its own now, and makes itself worker_current to run tasks.
 * Returns  0; -EBUSY: there are workers, or another thread is; -ECHILD: after a fork; -ENOMEM, or
 *          what a reactor's open() says.
 */
int runtime_embed(struct worker **ret);

#endif
