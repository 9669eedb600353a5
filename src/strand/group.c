/* SPDX-License-Identifier: MIT */
/*
 * strand/group.c: a scope that owns calls, whatever runs them.
 *
 * A group hands futures to a runner (its own, or a pool's) and is told when each has ended. `lock`
 * guards all fields that change. A future is in one of these lists, and the group has a reference
 * to it as long as it is:
 *
 *   live      started and not ended. (The reference is the runner's, which comes with the end.)
 *   stopping  the same, after the group has asked it to cancel
 *   ended     ended, submitted rather than started, and not yet given by weft_group_next()
 *
 * Two signals are raised under the lock: `gave`, when there is one more for weft_group_next() to
 * give or there will be none, and `emptied`, when the last call has ended. Whoever ends the last
 * call touches the group for the last time when it releases the lock, so a close that finds nothing
 * live may free it.
 *
 * The first failure is kept, and cancels the rest unless the options say otherwise. Cancelling
 * takes futures one by one, outside the lock, because a call that had not started ends at once, and
 * that takes the lock.
 */
#include <errno.h>
#include <stdlib.h>

#include <weft/group.h>
#include <weft/lock.h>

#include "strand/future.h"
#include "strand/options.h"
#include "sync/lock.h"
#include "sync/ready_fd.h"
#include "sync/signal.h"

struct weft_group {
    struct waitable waitable;  /* first: select finds it there */
    struct future_owner owner; /* constant after open, as are the next five */
    weft_options options;
    struct runner *runner;
    bool borrowed;              /* the runner is a pool's */
    weft_lock lock;             /* guards what follows */
    struct list live, stopping; /* by group_link */
    struct list ended;          /* the same */
    size_t running;             /* in live and stopping, and those just being started */
    size_t to_give;             /* submitted, and not yet given by next */
    uint64_t next_index;
    bool cancelled;
    weft_outcome failure;  /* how is WEFT_PENDING: none yet */
    struct ready_fd ready; /* readable: next would not wait */
    struct signal gave, emptied;
};

static void on_ended(struct future_owner *owner, weft_future *future);
static bool try_next_case(void *self, weft_case *what);
static void arm_next(void *self, struct park_node *node);

static const struct waitable_ops group_waitable = {
    .try_case = try_next_case,
    .arm = arm_next,
};

static int borrow_runner(weft_group *group, weft_kind kind)
{
    const weft_options *options = &group->options;
    weft_kind pools;
    group->runner = pool_runner(options->pool, &pools);
    group->borrowed = true;
    if (pools != kind || options->context_bytes)
        return -EINVAL;
    bool promises = options->call_timeout_ns || options->environment || options->directory ||
                    options->memory_bytes_max;
    return promises ? -ENOTSUP : 0; /* the pool's workers know the pool's only */
}

static int open_runner(weft_group *group, weft_kind kind)
{
    if (group->options.attempts_max > 1)
        return -ENOTSUP; /* only a pool tries again */
    if (group->options.pool)
        return borrow_runner(group, kind);
    switch (kind) {
    case WEFT_SERIAL:
        return serial_runner_open(&group->runner, &group->options);
    case WEFT_THREADS:
        return thread_runner_open(&group->runner, &group->options);
    case WEFT_TASKS:
        return task_runner_open(&group->runner, &group->options);
    case WEFT_PROCESSES:
        return process_runner_open(&group->runner, &group->options);
    case WEFT_AUTO:
        return -ENOTSUP; /* only a pool has workers that it can have more or fewer of */
    }
    return -EINVAL;
}

/* Under the lock, or before anybody knows the group. */
static void update_ready(weft_group *group)
{
    ready_fd_set(&group->ready, !list_empty(&group->ended) || !group->to_give);
}

int weft_group_open(weft_group **ret_group, weft_kind kind, const weft_options *options)
{
    weft_group *group = calloc(1, sizeof *group);
    if (!group)
        return -ENOMEM;
    group->waitable.ops = &group_waitable;
    int rc = options_copy(&group->options, options, kind);
    if (rc < 0)
        goto no_options;
    group->owner =
        (struct future_owner){ on_ended, group->options.on_error, group->options.on_error_ctx,
                               group->options.on_failure == WEFT_CANCEL_REST };
    list_init(&group->live);
    list_init(&group->stopping);
    list_init(&group->ended);
    update_ready(group);
    rc = open_runner(group, kind);
    if (rc < 0)
        goto no_runner;
    *ret_group = group;
    return 0;

no_runner:
    options_free(&group->options);
no_options:
    free(group);
    return rc;
}

/* Counts a new call in, so that the group cannot be left before it has ended. */
static int count_in(weft_group *group, weft_future *future)
{
    lock_inner(&group->lock);
    int rc = group->cancelled ? -ECANCELED : 0;
    if (rc == 0) {
        future->call.pub.index = group->next_index++;
        group->running++;
        group->to_give += future->wanted;
        list_push_back(&group->live, &future->group_link);
        update_ready(group);
    }
    weft_lock_release(&group->lock);
    return rc;
}

/* Under the lock. */
static void raise_if_empty(weft_group *group)
{
    if (!group->running)
        signal_raise(&group->emptied, UINT32_MAX);
}

/* Takes back a call that could not be started after all; its index is used up. */
static void count_out(weft_group *group, weft_future *future)
{
    lock_inner(&group->lock);
    list_remove(&future->group_link);
    group->running--;
    group->to_give -= future->wanted;
    update_ready(group);
    signal_raise(&group->gave, UINT32_MAX);
    raise_if_empty(group);
    weft_lock_release(&group->lock);
}

static int start(weft_group *group, weft_future *future, weft_deadline deadline)
{
    future->call.pub.context = (void *)group->options.context;
    future->call.pub.context_bytes =
        group->options.context_bytes == WEFT_POINTER ? 0 : group->options.context_bytes;
    int rc = count_in(group, future);
    if (rc < 0)
        return rc;
    rc = group->runner->ops->start(group->runner, future, deadline);
    if (rc == 0)
        return 0;
    if (future_retract(future)) {
        count_out(group, future);
        return rc;
    }
    future_unref(future); /* cancelled meanwhile: it was started, and that is how it ended */
    return 0;
}

static int submit(weft_group *group, weft_fn *fn, const void *arg, size_t arg_bytes, bool wanted,
                  weft_future **ret_future, weft_deadline deadline)
{
    weft_future *future;
    int rc = future_new(&future, group->runner, &group->owner, fn, arg, arg_bytes, wanted);
    if (rc < 0)
        return rc;
    future->wanted = wanted;
    if (ret_future)
        future_ref(future);
    rc = start(group, future, deadline);
    if (rc == 0) {
        if (ret_future)
            *ret_future = future;
        return 0;
    }
    if (ret_future)
        future_unref(future);
    future_unref(future);
    return rc;
}

int weft_group_start(weft_group *group, weft_fn *fn, const void *arg, size_t arg_bytes)
{
    return submit(group, fn, arg, arg_bytes, false, NULL, WEFT_FOREVER);
}

int weft_group_submit(weft_group *group, weft_fn *fn, const void *arg, size_t arg_bytes,
                      weft_future **ret_future, weft_deadline deadline)
{
    return submit(group, fn, arg, arg_bytes, true, ret_future, deadline);
}

/* Keeps the first failure. True: it is one, and the rest shall be cancelled. Under the lock. */
static bool note_failure(weft_group *group, const weft_outcome *outcome)
{
    if (outcome->how == WEFT_DONE || outcome->how == WEFT_CANCELLED ||
        group->failure.how != WEFT_PENDING)
        return false;
    group->failure = *outcome;
    return group->options.on_failure == WEFT_CANCEL_REST;
}

static void on_ended(struct future_owner *owner, weft_future *future)
{
    weft_group *group = CONTAINER(owner, weft_group, owner);
    if (future->outcome.how != WEFT_DONE) {
        lock_inner(&group->lock);
        bool stop = note_failure(group, &future->outcome);
        weft_lock_release(&group->lock);
        if (stop)
            weft_group_cancel(group); /* this call still counts as running, so the group stays */
    }
    lock_inner(&group->lock);
    bool wanted = future->wanted;
    list_remove(&future->group_link);
    if (wanted)
        list_push_back(&group->ended, &future->group_link);
    group->running--;
    if (wanted) {
        update_ready(group);
        signal_raise(&group->gave, UINT32_MAX);
    }
    raise_if_empty(group);
    weft_lock_release(&group->lock);
    if (!wanted)
        future_unref(future);
}

/* Runs a call of this group that has not started, if the caller is a worker of its pool. */
static bool help(weft_group *group, weft_deadline deadline)
{
    weft_future *unstarted = NULL;
    if (!group->runner->ops->help)
        return false;
    lock_inner(&group->lock);
    LIST_FOREACH (link, &group->live) {
        weft_future *future = CONTAINER(link, weft_future, group_link);
        if (load_relaxed(&future->state) != FUTURE_PENDING) /* relaxed: help() claims it */
            continue;
        future_ref(future);
        unstarted = future;
        break;
    }
    weft_lock_release(&group->lock);
    if (!unstarted)
        return false;
    bool ran = group->runner->ops->help(group->runner, unstarted, deadline);
    future_unref(unstarted);
    return ran;
}

/* The next future to give, taken out; 0, -ENODATA: there will be none, or -EAGAIN: not yet. */
static int try_next(weft_group *group, weft_future **ret_future)
{
    lock_inner(&group->lock);
    int rc = group->to_give ? -EAGAIN : -ENODATA;
    struct list *link = list_pop_front(&group->ended);
    if (link) {
        *ret_future = CONTAINER(link, weft_future, group_link);
        group->to_give--;
        update_ready(group);
        rc = 0;
        if (!group->to_give) /* others that wait will find that nothing is left */
            signal_raise(&group->gave, UINT32_MAX);
    }
    weft_lock_release(&group->lock);
    return rc;
}

/* Before a wait for what has been started. */
static void let_run(weft_group *group, weft_deadline deadline)
{
    if (deadline.ns > 0 && group->runner->ops->let_run)
        group->runner->ops->let_run(group->runner);
}

/* A wait for something to end. */
struct await {
    weft_group *group;
    weft_deadline deadline;
    weft_future *ended;    /* next: what it gives */
    int verdict;           /* all: what weft_group_join() returns */
    struct hold_away away; /* let go of once, not at each call that runs inside of the wait */
};

/* Whether a call has been run instead of waiting. */
static bool run_inside(struct await *await)
{
    if (await->deadline.ns <= 0)
        return false;
    hold_let_go(strand_self(), &await->away);
    return help(await->group, await->deadline);
}

static int attempt_next(void *ctx)
{
    struct await *await = ctx;
    int rc;
    while ((rc = try_next(await->group, &await->ended)) == -EAGAIN)
        if (!run_inside(await))
            break;
    return rc;
}

int weft_group_next(weft_group *group, weft_future **ret_future, weft_deadline deadline)
{
    struct await await = { .group = group, .deadline = deadline };
    let_run(group, deadline);
    int rc = signal_wait(&group->gave, attempt_next, &await, deadline, PARK_FOR_GROUP_NEXT);
    hold_take_back(strand_self(), &await.away);
    if (rc == 0)
        *ret_future = await.ended;
    return rc;
}

static bool try_next_case(void *self, weft_case *what)
{
    int rc = try_next(self, what->item);
    if (rc == -EAGAIN)
        return false;
    what->result = rc;
    return true;
}

static void arm_next(void *self, struct park_node *node)
{
    weft_group *group = self;
    signal_arm(&group->gave, node);
}

static bool all_ended(struct await *await)
{
    weft_group *group = await->group;
    lock_inner(&group->lock);
    bool none = !group->running;
    await->verdict = group->failure.how != WEFT_PENDING ? -ECHILD
                     : group->cancelled                 ? -ECANCELED
                                                        : 0;
    weft_lock_release(&group->lock);
    return none;
}

static int attempt_all(void *ctx)
{
    struct await *await = ctx;
    while (!all_ended(await))
        if (!run_inside(await))
            return -EAGAIN;
    return 0;
}

/* 0: all have ended, *ret_verdict is set; or why the wait ended. */
static int wait_all(weft_group *group, weft_deadline deadline, unsigned flags, int *ret_verdict)
{
    struct await await = { .group = group, .deadline = deadline };
    let_run(group, deadline);
    int rc =
        signal_wait(&group->emptied, attempt_all, &await, deadline, flags | PARK_FOR_GROUP_JOIN);
    hold_take_back(strand_self(), &await.away);
    *ret_verdict = await.verdict;
    return rc;
}

int weft_group_join(weft_group *group, weft_deadline deadline)
{
    int verdict;
    int rc = wait_all(group, deadline, 0, &verdict);
    return rc < 0 ? rc : verdict;
}

void weft_group_failure(weft_group *group, weft_outcome *ret_outcome)
{
    lock_inner(&group->lock);
    *ret_outcome = group->failure;
    weft_lock_release(&group->lock);
}

/* A future that has not been asked to cancel, with a reference; NULL: all have. */
static weft_future *take_to_stop(weft_group *group)
{
    weft_future *future = NULL;
    lock_inner(&group->lock);
    struct list *link = list_pop_front(&group->live);
    if (link) {
        list_push_back(&group->stopping, link);
        future = CONTAINER(link, weft_future, group_link);
        future_ref(future);
    }
    weft_lock_release(&group->lock);
    return future;
}

void weft_group_cancel(weft_group *group)
{
    lock_inner(&group->lock);
    group->cancelled = true;
    weft_lock_release(&group->lock);
    for (weft_future *future; (future = take_to_stop(group));) {
        weft_future_cancel(future);
        future_unref(future);
    }
}

int weft_group_fd(weft_group *group)
{
    lock_inner(&group->lock);
    int fd = ready_fd_get(&group->ready);
    weft_lock_release(&group->lock);
    return fd;
}

void weft_group_close(weft_group *group)
{
    if (!group)
        return;
    weft_group_cancel(group);
    int verdict;
    (void)wait_all(group, WEFT_FOREVER, PARK_SHIELDED, &verdict);
    if (!group->borrowed)
        group->runner->ops->close(group->runner);
    for (struct list *link; (link = list_pop_front(&group->ended));)
        future_unref(CONTAINER(link, weft_future, group_link));
    ready_fd_close(&group->ready);
    options_free(&group->options);
    free(group);
}
