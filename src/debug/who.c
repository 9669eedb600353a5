/* SPDX-License-Identifier: MIT */
/* debug/who.c: what tasks know of their workers. */
#include "debug/who.h"
#include "task/worker.h"

int64_t who_worker(const struct strand *self)
{
    const struct task *task = (const struct task *)self;
    return self->ops == &task_ops ? (int64_t)task->worker->number : -1;
}
