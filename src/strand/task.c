/* SPDX-License-Identifier: MIT */
/*
 * strand/task.c: the runner that starts a task for each call, and sets of tasks.
 *
 * A future that nobody keeps a handle on lies beside its task, in the page that the task needs
 * anyway: starting a call then allocates nothing but that. The future's references hold the task's
 * memory, so whoever cancels such a call finds its strand there even when the call has returned,
 * and the strand need not leave it with care (strand/future.c). A future with a handle may outlive
 * its task by far, so it is allocated by itself.
 *
 * A strand's local values are dropped before its future ends: who waits for that may then free what
 * the drops use.
 */
#include <errno.h>
#include <stdlib.h>

#include "strand/future.h"
#include "strand/self.h"
#include "strand/task.h"
#include "sync/lock.h"
#include "task/task.h"

struct task_runner {
    struct runner runner;
    const char *name;
    size_t stack_bytes;
};

/* A future beside its task. */
struct resident {
    struct task *task;
    weft_future future;
};

static struct resident *resident_of(weft_future *future)
{
    return CONTAINER(future, struct resident, future);
}

static void release(weft_future *future)
{
    task_release(resident_of(future)->task);
}

static weft_future *allocate(struct runner *runner, size_t bytes,
                             void (**ret_release)(weft_future *))
{
    struct task_runner *self = (struct task_runner *)runner;
    bytes += offsetof(struct resident, future);
    if (bytes > TASK_BESIDE_MAX)
        return NULL;
    void *beside;
    struct task *task = task_new(self->stack_bytes, bytes, &beside);
    if (!task)
        return NULL;
    struct resident *resident = beside;
    resident->task = task;
    *ret_release = release;
    return &resident->future;
}

static void run(void *ctx)
{
    weft_future *future = ctx;
    struct strand *self = strand_self();
    if (!future_begin(future)) {
        future_unref(future); /* its cancellation has told the owner */
        return;
    }
    int status = future_run_fn(future, -1);
    locals_drop(self);
    if (!future->release || status < 0) /* else see the top */
        future_leave_strand(future);
    if (status < 0)
        (void)weft_self_name(); /* an error hook may ask for it */
    self->family = NULL;        /* it is the owner's, who may be gone once the future has ended */
    future_end_returned(future, status);
}

static int start(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    struct task_runner *self = (struct task_runner *)runner;
    (void)deadline;
    int rc = task_prepare(); /* there are workers, unless the user has forked since */
    if (rc < 0)
        return rc;
    bool resident = future->release == release;
    struct task *task = resident ? resident_of(future)->task : task_new(self->stack_bytes, 0, NULL);
    if (!task)
        return -ENOMEM;
    task->strand.family = self->name;
    task->strand.number = future->call.pub.index;
    task_start(task, run, future);
    if (!resident)
        task_release(task);
    return 0;
}

static void let_run(struct runner *runner)
{
    (void)runner;
    task_let_run();
}

static void close_runner(struct runner *runner)
{
    free(runner);
}

static const struct runner_ops task_runner_ops = {
    .allocate = allocate,
    .start = start,
    .let_run = let_run,
    .close = close_runner,
};

static int check(size_t stack_bytes)
{
    return stack_bytes > STACK_BYTES_MAX ? -EINVAL : task_prepare();
}

int task_runner_open(struct runner **ret, const weft_options *options)
{
    int rc = check(options->stack_bytes);
    if (rc < 0)
        return rc;
    struct task_runner *self = malloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    *self = (struct task_runner){ .runner.ops = &task_runner_ops,
                                  .name = options->name,
                                  .stack_bytes = options->stack_bytes };
    *ret = &self->runner;
    return 0;
}

void task_set_init(struct task_set *set, const char *name, size_t stack_bytes)
{
    *set = (struct task_set){ .name = name, .stack_bytes = stack_bytes };
}

/* A task of a set: beside it. */
struct member {
    struct task_set *set;
    void (*body)(void *ctx);
    void *ctx;
};

static void count_out(struct task_set *set)
{
    lock_inner(&set->lock);
    if (--set->live == 0)
        signal_raise(&set->gone, UINT32_MAX);
    weft_lock_release(&set->lock);
}

static void run_member(void *ctx)
{
    struct member *member = ctx;
    struct strand *self = strand_self();
    member->body(member->ctx);
    locals_drop(self);
    self->family = NULL; /* it is the set's */
    count_out(member->set);
}

int task_set_start(struct task_set *set, unsigned worker, void (*body)(void *ctx), void *ctx)
{
    int rc = check(set->stack_bytes);
    if (rc < 0)
        return rc;
    void *beside;
    struct task *task = task_new(set->stack_bytes, sizeof(struct member), &beside);
    if (!task)
        return -ENOMEM;
    struct member *member = beside;
    *member = (struct member){ .set = set, .body = body, .ctx = ctx };
    task->strand.family = set->name;
    lock_inner(&set->lock);
    task->strand.number = set->started++;
    set->live++;
    weft_lock_release(&set->lock);
    if (worker == TASK_ANY_WORKER)
        task_start(task, run_member, member);
    else
        task_start_on(task, worker, run_member, member);
    task_release(task);
    return 0;
}

static int attempt_gone(void *ctx)
{
    struct task_set *set = ctx;
    lock_inner(&set->lock);
    int rc = set->live ? -EAGAIN : 0;
    weft_lock_release(&set->lock);
    return rc;
}

void task_set_join(struct task_set *set)
{
    (void)signal_wait(&set->gone, attempt_gone, set, WEFT_FOREVER,
                      PARK_SHIELDED | PARK_FOR_STRANDS);
}
