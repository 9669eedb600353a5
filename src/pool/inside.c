/* SPDX-License-Identifier: MIT */
/*
 * pool/inside.c: calls that a worker runs inside of another one, instead of waiting.
 *
 * They may nest as deep as the program likes, but a stack has an end, and a task's is near. So only
 * the upper half of a stack is for nesting: a call that runs inside of others has at least half a
 * stack. Below the middle, the worker goes on with another strand's stack, one more task or thread
 * in the pool's set that runs this one call. To the pool nothing has changed: it is the same
 * worker, which does one thing at a time, as the strand that it leaves waits until the call has
 * ended.
 *
 *     strand     [call [call [call waits                             ] ] ]
 *     beside                       [call [call waits             ] ]
 *     beside                                   [call [call ... ] ]
 *
 * What holds around the waiting call holds for the one that it waits for as if it ran inside of it:
 * the scopes, which lie on the first stack, and a cancellation, which is passed on. Only the values
 * of its strand (weft_local) are its own. A GIL that is let go of while its strand blocks is let go
 * of meanwhile, whichever stack the call runs on: it waits for it like any other call.
 */
#include <stdio.h>

#include "pool/pool.h"
#include "strand/self.h"

/* One call on another strand: on the stack of the one that waits. */
struct beside {
    struct worker *worker;
    weft_future *future; /* with the runner's reference */
    weft_scope *scope;   /* of the strand that waits, as is the next */
    uint32_t shields;
    struct guard guard;
    struct strand *strand; /* guarded: that runs the call; NULL: not yet, or no longer */
    bool cancelled;        /* guarded */
    weft_event ended;
};

static void enter(struct beside *beside, struct strand *self)
{
    self->worker_of = beside->worker;
    self->scope = beside->scope;
    self->shields = beside->shields;
    guard_lock(&beside->guard);
    beside->strand = self;
    bool cancelled = beside->cancelled;
    guard_unlock(&beside->guard);
    if (cancelled)
        strand_cancel(self, 0);
}

static void leave(struct beside *beside, struct strand *self)
{
    guard_lock(&beside->guard);
    beside->strand = NULL;
    guard_unlock(&beside->guard);
    self->scope = NULL;
    self->shields = 0;
    locals_drop(self);
}

/* The whole of the other strand. */
static void run_beside(void *ctx)
{
    struct beside *beside = ctx;
    struct worker *worker = beside->worker;
    const char *middle = worker->middle;
    worker->middle = self_stack_middle();
    enter(beside, strand_self());
    pool_run(worker, beside->future);
    leave(beside, strand_self());
    worker->middle = middle;
    weft_event_set(&beside->ended); /* from here on beside is gone */
}

static void pass_cancellation_on(struct beside *beside)
{
    guard_lock(&beside->guard);
    beside->cancelled = true;
    if (beside->strand)
        strand_cancel(beside->strand, 0);
    guard_unlock(&beside->guard);
}

/* No scope ends this wait: they end those of the call. */
static void wait_for(struct beside *beside)
{
    struct strand *self = strand_self();
    weft_scope shield;
    self->scope = NULL;
    if (weft_event_wait(&beside->ended, WEFT_FOREVER) < 0) {
        pass_cancellation_on(beside);
        weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
        (void)!weft_event_wait(&beside->ended, WEFT_FOREVER);
        weft_scope_leave(&shield);
    }
    self->scope = beside->scope;
}

static int start_strand(weft_pool *pool, struct beside *beside)
{
    if (pool->kind == WEFT_TASKS)
        return task_set_start(&pool->tasks, TASK_ANY_WORKER, run_beside, beside);
    return thread_start(&pool->threads, run_beside, beside);
}

/* Not inlined: the frames of calls that nest on one stack shall be small. */
__attribute__((noinline)) static void go_on_beside(struct worker *worker, weft_future *future)
{
    struct strand *self = strand_self();
    struct beside beside = {
        .worker = worker, .future = future, .scope = self->scope, .shields = self->shields
    };
    struct open_failure failure;
    failure.error = start_strand(worker->pool, &beside);
    if (failure.error == 0) {
        wait_for(&beside);
        return;
    }
    snprintf(failure.text, sizeof failure.text, "no stack for a call inside of others: %.100s",
             weft_strerror(failure.error));
    pool_fail(future, &failure);
}

void pool_run_inside(struct worker *worker, weft_future *future)
{
    struct strand *self = strand_self();
    struct hold_away away;
    away.n = 0;
    hold_let_go(self, &away);
    if ((const char *)__builtin_frame_address(0) > worker->middle)
        pool_run(worker, future);
    else
        go_on_beside(worker, future);
    hold_take_back(self, &away);
}
