/* SPDX-License-Identifier: MIT */
/* task/task.c: the making and the end of tasks: their memory, and who holds it. */
#include <limits.h>

#include "task/annotate.h"
#include "task/share.h"
#include "task/worker.h"

static struct stack_cache *own_cache(void)
{
    return worker_current ? &worker_current->stacks : NULL;
}

enum { FIRST_FRAME = 192 }; /* what switch_prepare() writes, at most */

static char *below(const void *top, size_t bytes)
{
    return (char *)(((uintptr_t)top - bytes) & ~(uintptr_t)63);
}

struct task *task_new(size_t stack_bytes, size_t beside_bytes, void **ret_beside)
{
    struct stack *stack = stack_take(own_cache(), stack_bytes);
    if (!stack)
        return NULL;
    struct task *task = (struct task *)below(stack, sizeof *task);
    void *beside = below(task, beside_bytes);
    annotate_record(below(beside, FIRST_FRAME), stack);
    *task = (struct task){ .stack = stack, .beside = beside, .holders = 1 };
    task->strand.ops = &task_ops;
    stack->user = task;
    if (ret_beside)
        *ret_beside = task->beside;
    return task;
}

/* From here on somebody else may hold it. */
static void lay_out(struct task *task, void (*body)(void *ctx), void *ctx)
{
    task->strand.id = strand_new_id();
    task->body = body;
    task->ctx = ctx;
    worker_lay_out(task);
    task->holders = 2; /* nobody else knows it yet */
}

void task_start(struct task *task, void (*body)(void *ctx), void *ctx)
{
    lay_out(task, body, ctx);
    struct worker *worker = worker_current;
    if (!share_put(worker, task) && worker->running)
        task_ops.yield(&worker->running->strand);
}

void task_start_on(struct task *task, unsigned number, void (*body)(void *ctx), void *ctx)
{
    lay_out(task, body, ctx);
    store_relaxed(&task->worker, share_worker(number)); /* relaxed: passing it on orders it */
    worker_pass(task);
}

unsigned task_workers(void)
{
    return share_workers_max();
}

unsigned task_worker(void)
{
    return worker_current && worker_current->running ? worker_current->number : UINT_MAX;
}

bool task_worker_sleeps(unsigned number)
{
    return share_sleeps(number);
}

bool task_any_worker_sleeps(void)
{
    return share_any_sleeps();
}

/* One of the two holders lets go; the last one frees. */
static void let_go(struct task *task)
{
    /* acquire: pairs with the acq_rel of the other holder, who has let go */
    if (load_acquire(&task->holders) > 1 && sub_acq_rel(&task->holders, 1) > 1)
        return;
    task->stack->user = NULL;
    stack_give(own_cache(), task->stack);
}

void task_release(struct task *task)
{
    /* relaxed, both: what they look for only this thread can have written */
    struct worker *worker = load_relaxed(&task->worker);
    if (worker && worker == worker_current && load_relaxed(&task->holders) > 1)
        store_relaxed(&task->holders, 1); /* relaxed: the other holder is this worker */
    else
        let_go(task);
}

void task_bury(struct task *task)
{
    task->sp = NULL;
    let_go(task);
}
