/* SPDX-License-Identifier: MIT */
/*
 * pool/pool.c: workers that take calls from a queue, whatever they do with them (pool.h).
 *
 *   submit   queues a future, waiting for room in the backlog, and raises `work` for one worker
 *   worker   opens (enter), then takes and runs futures; is closed and opened again after
 *            calls_per_worker_max of them or when it was lost. When it fails to open
 *            OPEN_FAILURES_MAX times in a row it is given up; when the last one is, everything
 *            queued, now and later, fails with what the last one said
 *   close    refuses what comes; workers end when the queue is empty, and are joined
 *
 * Lock order: the pool's lock is taken with no other held, and under it nothing but a future's
 * guard or park's; futures are ended, and owners told, outside it.
 *
 * Calls that wait for calls of their own pool: a worker of a pool of threads that is about to wait
 * runs what it waits for itself, if nobody has started it. What somebody has started makes
 * progress by the same rule, so no circle of waiting workers can close (inside.c).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cpus.h"
#include "pool/auto.h"
#include "pool/backlog.h"
#include "pool/crew.h"
#include "pool/pool.h"
#include "strand/self.h"
#include "sync/lock.h"
#include "task/task.h"

enum { TASKS = 256, BACKLOG = 1024, OPEN_FAILURES_MAX = 8 };

/* Keeps note of what runs, for those who terminate the pool. Who does so before this note has not
 * found the future, neither in the queue nor here: then it is cancelled now. */
void pool_run(struct worker *worker, weft_future *future)
{
    weft_pool *pool = worker->pool;
    future_ref(future);
    lock_inner(&pool->lock);
    bool stop = pool->terminated;
    struct running running = { future, worker->running, stop };
    worker->running = &running;
    if (pool->pilot && !running.outer)
        auto_call_begins(worker);
    weft_lock_release(&pool->lock);
    if (stop)
        weft_future_cancel(future);

    worker->calls++;
    pool->backend->run(worker, future);

    lock_inner(&pool->lock);
    worker->running = running.outer;
    if (pool->pilot && !running.outer)
        auto_call_ends(worker);
    weft_lock_release(&pool->lock);
    future_unref(future);
}

static bool is_closing(weft_pool *pool)
{
    lock_inner(&pool->lock);
    bool closing = pool->closing && list_empty(&pool->queue);
    weft_lock_release(&pool->lock);
    return closing;
}

/* Opens a worker, trying again a little later each time. False: it is to be given up. */
static bool open_worker(struct worker *worker, struct open_failure *failure)
{
    worker->calls = 0;
    for (int failures = 0; failures < OPEN_FAILURES_MAX; failures++) {
        worker->lost = false;
        if (worker->pool->backend->open(worker, failure) == 0)
            return true;
        if (is_closing(worker->pool))
            return false;
        (void)weft_sleep_until(weft_after(WEFT_MS << failures));
    }
    return false;
}

void pool_give_up(weft_pool *pool, const struct open_failure *failure)
{
    lock_inner(&pool->lock);
    bool last = --pool->usable == 0;
    if (last)
        pool->failure = *failure;
    weft_lock_release(&pool->lock);
    while (last) {
        lock_inner(&pool->lock);
        weft_future *future = backlog_pop(pool);
        weft_lock_release(&pool->lock);
        if (!future)
            break;
        pool_fail(future, failure);
    }
    signal_raise(&pool->room, UINT32_MAX);
}

static bool is_spent(const struct worker *worker)
{
    uint32_t most = worker->pool->options.calls_per_worker_max;
    return worker->lost || (most && worker->calls >= most);
}

static void give_up(struct worker *worker, const struct open_failure *failure)
{
    if (worker->pool->pilot)
        auto_worker_given_up(worker);
    pool_give_up(worker->pool, failure);
}

static void work(struct worker *worker)
{
    weft_pool *pool = worker->pool;
    struct open_failure failure = { 0 };
    bool open = open_worker(worker, &failure);
    for (weft_future *future; open && (future = backlog_take(worker));) {
        pool_run(worker, future);
        if (is_spent(worker)) {
            pool->backend->close(worker);
            open = !is_closing(pool) && open_worker(worker, &failure);
            if (!open && is_closing(pool))
                return;
        }
    }
    if (open)
        pool->backend->close(worker);
    else
        give_up(worker, &failure);
}

static void worker_main(void *ctx)
{
    struct worker *worker = ctx;
    strand_self()->worker_of = worker;
    worker->middle = self_stack_middle();
    if (worker->pool->pilot)
        auto_worker_begins(worker);
    work(worker);
    if (worker->pool->pilot)
        auto_worker_ends(worker);
}

/* Whether the calling strand is a worker of this pool that can run calls inside calls. */
static struct worker *nesting_worker(weft_pool *pool)
{
    struct worker *worker = strand_self()->worker_of;
    return worker && worker->pool == pool && pool->backend->nests ? worker : NULL;
}

/* Why a wait of the calling strand would end at once; 0: it would not. */
static int why_not_wait(weft_deadline deadline)
{
    if (strand_cancelled(strand_self()))
        return -ECANCELED;
    return weft_left(weft_sooner(deadline, weft_scope_deadline())) ? 0 : -ETIMEDOUT;
}

static bool help(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    weft_pool *pool = (weft_pool *)runner;
    struct worker *worker = nesting_worker(pool);
    if (!worker || why_not_wait(deadline) < 0 || !backlog_unqueue(pool, future))
        return false;
    pool_run_inside(worker, future);
    return true;
}

/* Runs whatever comes first, without the scopes that are around the worker's own call. */
static void run_stranger(struct worker *worker)
{
    weft_pool *pool = worker->pool;
    struct strand *self = strand_self();
    weft_scope *scope = self->scope;
    lock_inner(&pool->lock);
    weft_future *future = backlog_pop(pool);
    weft_lock_release(&pool->lock);
    self->scope = NULL;
    if (future)
        pool_run_inside(worker, future);
    self->scope = scope;
}

/* Makes room in the backlog: a worker of this pool runs a call, others wait. 0; or an error. */
static int make_room(weft_pool *pool, weft_deadline deadline)
{
    struct worker *worker = nesting_worker(pool);
    if (worker && why_not_wait(deadline) == 0) {
        run_stranger(worker);
        return 0;
    }
    if (deadline.ns <= 0)
        return -ETIMEDOUT;
    struct park_node node;
    signal_arm(&pool->room, &node);
    lock_inner(&pool->lock);
    bool full = pool->queued >= pool->options.backlog_max && !pool->closing && pool->usable;
    weft_lock_release(&pool->lock);
    int rc = full ? park_wait(&node, 1, deadline, PARK_FOR_POOL_ROOM) : 0;
    return rc < 0 && rc != -EAGAIN ? rc : 0;
}

static int start(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    weft_pool *pool = (weft_pool *)runner;
    for (;;) {
        lock_inner(&pool->lock);
        bool closing = pool->closing, usable = pool->usable;
        bool room = pool->queued < pool->options.backlog_max;
        struct places_wake wake = { .strand = NULL };
        if (!closing && usable && room)
            wake = backlog_push(pool, future);
        weft_lock_release(&pool->lock);
        if (closing)
            return -EPIPE;
        if (!usable) {
            pool_fail(future, &pool->failure);
            return 0;
        }
        if (room) {
            backlog_announce(pool, wake);
            return 0;
        }
        int rc = make_room(pool, deadline);
        if (rc < 0)
            return rc;
    }
}

int pool_requeue(weft_pool *pool, weft_future *future)
{
    struct places_wake wake = { .strand = NULL };
    lock_inner(&pool->lock);
    bool closing = pool->closing, usable = pool->usable;
    if (!closing && usable)
        wake = backlog_push(pool, future);
    weft_lock_release(&pool->lock);
    if (closing)
        return -EPIPE;
    if (usable)
        backlog_announce(pool, wake);
    else
        pool_fail(future, &pool->failure);
    return 0;
}

static void forget(struct runner *runner, weft_future *future)
{
    weft_pool *pool = (weft_pool *)runner;
    if (backlog_unqueue(pool, future))
        future_unref(future);
}

const struct runner_ops pool_ops = {
    .start = start,
    .help = help,
    .forget = forget,
};

void pool_count_in(weft_pool *pool)
{
    lock_inner(&pool->lock);
    pool->live++;
    weft_lock_release(&pool->lock);
}

void pool_count_out(weft_pool *pool)
{
    lock_inner(&pool->lock);
    if (--pool->live == 0)
        signal_raise(&pool->drained, UINT32_MAX);
    weft_lock_release(&pool->lock);
}

static void on_ended(struct future_owner *owner, weft_future *future)
{
    future_unref(future);
    pool_count_out(CONTAINER(owner, weft_pool, owner));
}

int pool_start_worker(weft_pool *pool, struct worker *worker)
{
    if (pool->places)
        return task_set_start(&pool->tasks, places_thread(pool->places, worker->number),
                              worker_main, worker);
    return thread_start(&pool->threads, worker_main, worker);
}

static void join_workers(weft_pool *pool)
{
    if (pool->kind == WEFT_TASKS)
        task_set_join(&pool->tasks);
    else
        thread_set_join(&pool->threads);
}

static int open_places(weft_pool *pool)
{
    int rc = task_prepare();
    if (rc < 0)
        return rc;
    pool->places = places_open(pool->options.workers);
    return pool->places ? 0 : -ENOMEM;
}

void pool_abandon_workers(weft_pool *pool)
{
    weft_pool_terminate(pool);
    join_workers(pool);
    free(pool->workers);
    places_close(pool->places);
}

int pool_start_workers(weft_pool *pool)
{
    uint32_t n = pool->options.workers, first = pool->pilot ? pool->pilot->bound : n;
    int rc = pool->kind == WEFT_TASKS ? open_places(pool) : 0;
    if (rc < 0)
        return rc;
    pool->workers = calloc(n, sizeof *pool->workers);
    if (!pool->workers) {
        places_close(pool->places);
        return -ENOMEM;
    }
    bool runs_calls = pool->kind != WEFT_TASKS; /* else it is not meant for these threads */
    thread_set_init(&pool->threads, pool->options.name, runs_calls ? pool->options.stack_bytes : 0);
    task_set_init(&pool->tasks, pool->options.name, pool->options.stack_bytes);
    pool->usable = first;
    for (uint32_t i = 0; i < n; i++)
        pool->workers[i] = (struct worker){ .pool = pool, .number = i };
    for (uint32_t i = 0; i < first; i++) {
        pool->workers[i].gauge = (struct gauge){ .state = GAUGE_AT_WORK, .life = 1 };
        rc = pool_start_worker(pool, &pool->workers[i]);
        if (rc == 0)
            continue;
        pool_abandon_workers(pool);
        return rc;
    }
    return 0;
}

static int open_kind(weft_pool *pool)
{
    switch (pool->kind) {
    case WEFT_SERIAL:
        pool->runner.ops = &pool_serial_ops;
        pool->backend = &threads_backend; /* to run calls, which is the same */
        return pool_serial_open(pool);
    case WEFT_THREADS:
    case WEFT_TASKS: /* what a worker does is the same */
        pool->backend = &threads_backend;
        break;
    case WEFT_PROCESSES:
        return pool_processes_open(pool);
    case WEFT_AUTO:
        pool->backend = &threads_backend;
        return auto_open(pool);
    }
    return pool_start_workers(pool);
}

static void fill_in(weft_options *options, weft_kind kind)
{
    if (!options->workers && kind != WEFT_AUTO)
        options->workers = kind == WEFT_TASKS ? TASKS : base_cpus();
    if (!options->backlog_max)
        options->backlog_max = BACKLOG;
}

int weft_pool_open(weft_pool **ret_pool, weft_kind kind, const weft_options *options)
{
    weft_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return -ENOMEM;
    int rc = options_copy(&pool->options, options, kind);
    if (rc < 0)
        goto no_options;
    fill_in(&pool->options, kind);
    pool->kind = kind;
    pool->runner.ops = &pool_ops;
    pool->owner = (struct future_owner){ .ended = on_ended,
                                         .on_error = pool->options.on_error,
                                         .on_error_ctx = pool->options.on_error_ctx };
    list_init(&pool->queue);
    rc = pool->options.workers > POOL_WORKERS_MAX || pool->options.pool ? -EINVAL : open_kind(pool);
    if (rc < 0)
        goto no_workers;
    *ret_pool = pool;
    return 0;

no_workers:
    options_free(&pool->options);
no_options:
    free(pool);
    return rc;
}

int weft_pool_submit(weft_pool *pool, weft_fn *fn, const void *arg, size_t arg_bytes,
                     weft_future **ret_future, weft_deadline deadline)
{
    weft_future *future;
    int rc = future_new(&future, &pool->runner, &pool->owner, fn, arg, arg_bytes, true);
    if (rc < 0)
        return rc;
    future->call.pub.index = add_relaxed(&pool->next_index, 1); /* relaxed: only a number */
    if (ret_future)
        future_ref(future);
    pool_count_in(pool);
    rc = pool->runner.ops->start(&pool->runner, future, deadline);
    if (rc < 0) {
        pool_count_out(pool);
        if (ret_future)
            future_unref(future);
        future_unref(future);
        return rc;
    }
    if (ret_future)
        *ret_future = future;
    return 0;
}

/* The innermost call of a worker that is not cancelled yet, with a reference; NULL: none. */
static weft_future *take_to_stop(weft_pool *pool, struct worker *worker)
{
    weft_future *future = NULL;
    lock_inner(&pool->lock);
    struct running *running = worker->running;
    while (running && running->stopping)
        running = running->outer;
    if (running) {
        running->stopping = true;
        future = running->future;
        future_ref(future);
    }
    weft_lock_release(&pool->lock);
    return future;
}

/* Refuses what comes. */
static void stop(weft_pool *pool, bool terminate)
{
    lock_inner(&pool->lock);
    pool->closing = true;
    pool->terminated |= terminate;
    if (pool->pilot)
        auto_unqueued(pool);
    weft_lock_release(&pool->lock);
    signal_raise(&pool->work, UINT32_MAX);
    if (pool->places)
        places_wake_all(pool->places);
    signal_raise(&pool->room, UINT32_MAX);
}

void weft_pool_terminate(weft_pool *pool)
{
    if (pool->crew) {
        if (crew_is_own(pool->crew))
            crew_terminate(pool->crew);
        return;
    }
    stop(pool, true);
    weft_pool *processes = pool->pilot ? auto_processes(pool) : NULL; /* no more from now on */
    if (processes)
        weft_pool_terminate(processes);
    for (;;) {
        lock_inner(&pool->lock);
        weft_future *future = backlog_pop(pool);
        weft_lock_release(&pool->lock);
        if (!future)
            break;
        weft_future_cancel(future);
        future_unref(future);
    }
    for (uint32_t i = 0; i < pool_workers(pool); i++) {
        for (weft_future *future; (future = take_to_stop(pool, &pool->workers[i]));) {
            weft_future_cancel(future);
            future_unref(future);
        }
    }
}

static int attempt_drained(void *ctx)
{
    weft_pool *pool = ctx;
    lock_inner(&pool->lock);
    int rc = pool->live ? -EAGAIN : 0;
    weft_lock_release(&pool->lock);
    return rc;
}

void weft_pool_close(weft_pool *pool)
{
    if (!pool || (pool->crew && !crew_is_own(pool->crew)))
        return;
    if (pool->crew)
        crew_close(pool->crew);
    else
        stop(pool, false);
    if (pool->pilot)
        auto_stop(pool);
    if (pool->kind != WEFT_SERIAL && !pool->crew)
        join_workers(pool);
    /* For calls that another strand is running (kind serial) or just cancelling. */
    (void)signal_wait(&pool->drained, attempt_drained, pool, WEFT_FOREVER,
                      PARK_SHIELDED | PARK_FOR_POOL_CLOSE);
    if (pool->kind == WEFT_SERIAL)
        pool_serial_close(pool);
    if (pool->crew)
        crew_free(pool->crew);
    if (pool->pilot)
        auto_close(pool);
    free(pool->workers);
    places_close(pool->places);
    options_free(&pool->options);
    free(pool);
}

uint32_t pool_workers(const weft_pool *pool)
{
    return pool->kind == WEFT_SERIAL ? 1 : pool->options.workers;
}

struct runner *pool_runner(weft_pool *pool, weft_kind *ret_kind)
{
    *ret_kind = pool->kind;
    return &pool->runner;
}
