/* SPDX-License-Identifier: MIT */
/*
 * task/shared_wait.c: how a task sleeps on words in memory that processes share.
 *
 * Others change such a word, and know nothing of tasks; somebody has to watch it for the task. Who:
 *
 *   the reactor   where its back end can: io_uring, from Linux 6.7 on
 *   a thread      of the pool for calls that block, at most HELPERS_MAX at a time, so that those
 *                 calls do not wait for threads that wait
 *   the task      else, by a look every SLICE_NS
 *
 * What the watcher finds decides the wait, as park_wake() would. The wait may also be decided by
 * others: then the task goes on while the watcher still has what lies on the task's stack. So it
 * asks the watcher to end, and leaves its stack once more until the watcher has let go:
 *
 *     WATCHING --watcher has done--> OVER
 *        \--task was woken otherwise--> LEAVING --watcher has done, and makes the task ready-->
 * OVER
 *
 * The reactor's done() runs on the task's own thread; with a helper the steps are swaps.
 */
#include "base/futex.h"
#include "io/blocking.h"
#include "park/park.h"
#include "task/shared_wait.h"
#include "task/worker.h"

enum { HELPERS_MAX = 256 };

#define SLICE_NS (10 * WEFT_MS)

enum watch_state { WATCHING, LEAVING, OVER };

struct watch {
    struct task *task;
    struct park_node *nodes;
    size_t n;
    uint32_t state; /* enum watch_state */
    uint32_t stop;  /* for the helper: 1 */
    size_t places_n;
    struct futex_place places[PARK_PLACES_MAX + 1];
    union {
        struct io_op op;
        struct blocking_job job;
    };
};

/* A word has changed or was woken, or a process has died. False: the wait was decided otherwise. */
static bool decide(struct watch *watch)
{
    struct park_node *node = park_changed(watch->nodes, watch->n);
    node->token = 0;
    return park_decide_woken(node);
}

/* ---- the reactor */

static void done(struct io_op *op)
{
    struct watch *watch = CONTAINER(op, struct watch, op);
    bool leaving = watch->state == LEAVING;
    watch->state = OVER;
    if (leaving || decide(watch))
        worker_ready(watch->task);
}

static bool watch_by_reactor(struct watch *watch)
{
    struct reactor *reactor = watch->task->worker->reactor;
    if (!reactor->futexes)
        return false;
    watch->op = (struct io_op){
        .code = IO_FUTEX, .fd = -1, .data = watch->places, .size = watch->places_n, .done = done
    };
    return reactor->ops->start(reactor, &watch->op) == 0;
}

static void end_reactor(struct watch *watch)
{
    struct reactor *reactor = watch->task->worker->reactor;
    if (watch->state == OVER)
        return;
    watch->state = LEAVING;
    reactor->ops->cancel(reactor, &watch->op);
    worker_leave(watch->task);
}

/* ---- a helper */

static uint32_t helpers;

static int help(void *ctx)
{
    struct watch *watch = ctx;
    struct task *task = watch->task;
    (void)futex_wait_any(watch->places, watch->places_n, WEFT_FOREVER);
    sub_relaxed(&helpers, 1); /* relaxed: only a number */
    bool decided = decide(watch);
    /* acq_rel: the other half is in end_helper(). From here on the watch may be gone, unless the
       task waits to be made ready */
    if (swap_acq_rel(&watch->state, OVER) == LEAVING || decided)
        worker_pass(task);
    return 0;
}

static bool watch_by_helper(struct watch *watch)
{
    if (add_relaxed(&helpers, 1) < HELPERS_MAX) { /* relaxed: only a number */
        watch->places[watch->places_n++] = futex_place(&watch->stop, 0, false);
        watch->job = (struct blocking_job){ .fn = help, .arg = watch };
        if (blocking_try(&watch->job) == 0)
            return true;
    }
    sub_relaxed(&helpers, 1);
    return false;
}

static void end_helper(struct watch *watch)
{
    store_release(&watch->stop, 1); /* pairs with the acquire in futex_wait_any() */
    futex_wake(&watch->stop, 1);
    /* acq_rel: the other half is in help() */
    if (swap_acq_rel(&watch->state, LEAVING) != OVER)
        worker_leave(watch->task);
}

/* ---- nobody */

static void sleep_a_slice(struct watch *watch, weft_deadline deadline)
{
    struct strand *self = &watch->task->strand;
    weft_deadline slice = weft_sooner(deadline, weft_after(SLICE_NS));
    worker_sleep_task(watch->task, slice);
    /* relaxed, both: it is decided, and nobody else looks any more */
    uint32_t decision = load_relaxed(&self->decision);
    if (slice.ns == deadline.ns || (decision & STRAND_DECISION_MASK) != STRAND_TIMED_OUT)
        return;
    self->woken_node = park_changed(watch->nodes, watch->n); /* to look again */
    store_relaxed(&self->decision, (decision & ~(uint32_t)STRAND_DECISION_MASK) | STRAND_WOKEN);
}

void task_sleep_shared(struct strand *self, struct park_node *nodes, size_t n,
                       weft_deadline deadline)
{
    struct watch watch;
    watch.task = (struct task *)self;
    watch.nodes = nodes;
    watch.n = n;
    watch.state = WATCHING;
    watch.stop = 0;
    watch.places_n = park_places(nodes, n, watch.places);
    if (watch_by_reactor(&watch)) {
        worker_sleep_task(watch.task, deadline);
        end_reactor(&watch);
    } else if (watch_by_helper(&watch)) {
        worker_sleep_task(watch.task, deadline);
        end_helper(&watch);
    } else {
        sleep_a_slice(&watch, deadline);
    }
}
