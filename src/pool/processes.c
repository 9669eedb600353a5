/* SPDX-License-Identifier: MIT */
/*
 * pool/processes.c: the pool of processes, as those see it who submit calls and wait for them. What
 * it does with them is the crew's affair (crew.h).
 */
#include <errno.h>
#include <stdio.h>

#include "pool/pool.h"
#include "pool/processes.h"
#include "sync/event.h"
#include "sync/lock.h"

static struct crew *crew_of(struct runner *runner)
{
    return ((weft_pool *)runner)->crew;
}

/* ---- submitting */

static bool has_room(void *ctx)
{
    struct crew *crew = ctx;
    return crew->submitted.count < crew->options->backlog_max || crew->closing || !crew->usable;
}

static void arm_room(void *ctx, struct park_node *node)
{
    struct crew *crew = ctx;
    signal_arm(&crew->submitted.room, node);
}

/* Waits for room, under no lock. 0: look again; or an error. */
static int make_room(struct crew *crew, weft_deadline deadline)
{
    const struct awaited room = { has_room, arm_room, crew };
    int rc = deadline.ns > 0 ? crew_lead(crew, &room, deadline, PARK_FOR_POOL_ROOM) : -ETIMEDOUT;
    if (rc != -EAGAIN)
        return rc;
    struct park_node node;
    signal_arm(&crew->submitted.room, &node);
    lock_inner(&crew->lock);
    bool full = !has_room(crew);
    weft_lock_release(&crew->lock);
    rc = full ? park_wait(&node, 1, deadline, PARK_FOR_POOL_ROOM) : 0;
    return rc < 0 && rc != -EAGAIN ? rc : 0;
}

static int start(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    struct crew *crew = crew_of(runner);
    struct submitted *submitted = &crew->submitted;
    struct harvest harvest;
    for (;;) {
        crew_enter(crew);
        bool closing = crew->closing, room = has_room(crew);
        harvest_init(&harvest);
        if (!closing && room) {
            list_push_back(&submitted->futures, &future->queue_link);
            submitted->count++;
            crew_offer(crew, &submitted->source);
            crew_drive(crew, &harvest);
        }
        crew_leave(crew, &harvest);
        if (closing)
            return -EPIPE;
        if (room)
            return 0;
        int rc = make_room(crew, deadline);
        if (rc < 0)
            return rc;
    }
}

int processes_admit(const struct crew *crew, weft_fn *fn, const void *pointer)
{
    if (!crew_is_own(crew))
        return -ENOTCONN;
    bool seen = process_origin_sees_code(crew->origin, (const void *)fn);
    return seen && process_sees_memory(pointer) ? 0 : -EFAULT;
}

static int admit(struct runner *runner, weft_fn *fn, const void *pointer)
{
    return processes_admit(crew_of(runner), fn, pointer);
}

/* ---- waiting */

static bool has_ended(void *ctx)
{
    const weft_future *future = ctx;
    return load_acquire(&future->state) == FUTURE_ENDED; /* pairs with future_end()'s release */
}

static void arm_ended(void *ctx, struct park_node *node)
{
    weft_future *future = ctx;
    (void)event_arm(&future->ended, node);
}

int processes_wait(struct crew *crew, weft_future *future, weft_deadline deadline)
{
    const struct awaited end = { has_ended, arm_ended, future };
    return crew_lead(crew, &end, deadline, PARK_FOR_FUTURE);
}

static int wait_for(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    return processes_wait(crew_of(runner), future, deadline);
}

/* ---- cancelling */

/* The assignment of a future that is in a lane. Under the lock. */
static struct assignment *find(struct crew *crew, const weft_future *future,
                               struct member **ret_member)
{
    for (uint32_t i = 0; i < crew->members_count; i++) {
        struct member *member = crew->members[i];
        for (uint32_t k = member->head; k != member->tail; k++) {
            struct assignment *what = &member->assignments[k % LANE_BATCHES];
            *ret_member = member;
            if (what->future == future)
                return what;
        }
    }
    return NULL;
}

static void unqueue(struct submitted *submitted, weft_future *future)
{
    list_remove(&future->queue_link);
    submitted->count--;
    signal_raise(&submitted->room, 1);
}

/* It was put back into the queue meanwhile: it need not begin. */
static void cancel_queued(struct crew *crew, weft_future *future, struct harvest *harvest)
{
    if (!future_assign(future))
        return; /* it has ended, or another ends it */
    unqueue(&crew->submitted, future);
    snprintf(future->call.text, sizeof future->call.text, "%s", "cancelled before it started");
    harvest_future(harvest, future, WEFT_CANCELLED, -ECANCELED);
}

static void hold(struct runner *runner)
{
    crew_hold(crew_of(runner));
}

void processes_cancel(struct crew *crew, weft_future *future)
{
    struct harvest harvest;
    struct member *member = NULL;
    harvest_init(&harvest);
    lock_inner(&crew->lock);
    struct assignment *what = find(crew, future, &member);
    if (what)
        collect_back(member, what, 0); /* if it has not begun it is in the queue now */
    bool at_work = member && (member->state == MEMBER_READY || member->state == MEMBER_STARTING);
    if (what && (what->future || crew->once) && at_work)
        crew_stop_member(member, FATE_CANCELLED, crew->options->grace_ns);
    else
        cancel_queued(crew, future, &harvest);
    crew_drive(crew, &harvest);
    crew_leave(crew, &harvest);
}

static void cancel(struct runner *runner, weft_future *future)
{
    processes_cancel(crew_of(runner), future);
}

static void forget(struct runner *runner, weft_future *future)
{
    struct crew *crew = crew_of(runner);
    lock_inner(&crew->lock);
    bool queued = !list_empty(&future->queue_link);
    if (queued)
        unqueue(&crew->submitted, future);
    weft_lock_release(&crew->lock);
    if (queued)
        future_unref(future);
}

const struct runner_ops pool_processes_ops = {
    .start = start,
    .admit = admit,
    .wait = wait_for,
    .hold = hold,
    .cancel = cancel,
    .forget = forget,
};

/* ---- opening */

int pool_processes_open(weft_pool *pool)
{
    const weft_options *options = &pool->options;
    if (!process_available())
        return -ENOTCONN;
    if (options->context_bytes == WEFT_POINTER && !process_sees_memory(options->context))
        return -EFAULT;
    pool->runner.ops = &pool_processes_ops;
    return crew_open(&pool->crew, options, options->workers);
}
