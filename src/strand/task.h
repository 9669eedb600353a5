/* SPDX-License-Identifier: MIT */
/*
 * strand/task.h: the tasks that a pool has for its workers: a set of them that is waited for
 * together, as strand/thread.h has threads.
 */
#ifndef WEFT_STRAND_TASK_H
#define WEFT_STRAND_TASK_H

#include <limits.h>

#include <weft/lock.h>

#include "sync/signal.h"

struct task_set {
    weft_lock lock;
    uint32_t live;      /* guarded by the lock */
    struct signal gone; /* raised under the lock: live is 0 */
    const char *name;   /* borrowed; tasks are called NAME-0, NAME-1, ... */
    size_t stack_bytes; /* 0: the default */
    uint64_t started;   /* guarded */
};

void task_set_init(struct task_set *set, const char *name, size_t stack_bytes);

/*
 * Starts a task that runs body(ctx), on the worker of that number (of task_workers(), as
 * task_start_on()) or on any.
 * Returns  0; the errors of task_prepare(); -ENOMEM.
 */
int task_set_start(struct task_set *set, unsigned worker, void (*body)(void *ctx), void *ctx);
#define TASK_ANY_WORKER UINT_MAX

/* Waits until all have ended. Not from one of them. */
void task_set_join(struct task_set *set);

#endif
