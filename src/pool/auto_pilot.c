/* SPDX-License-Identifier: MIT */
/*
 * pool/auto_pilot.c: the thread that sees to it that a pool of kind auto has as many workers as it
 * needs: it measures them (auto_sample.c), asks what may be had (auto_limits.c), has auto_decide()
 * say how many there are to be, and starts new ones or lets some end.
 *
 * It sleeps without a timer while no more calls are running or queued than the first workers can
 * run, and there are no others: whoever queues one more wakes it (auto_queued()). While it is
 * awake nobody need. It ends when the pool is closing and nothing is queued: until then the calls
 * that are left may wait for each other, and need as many workers as ever.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cpus.h"
#include "pool/auto.h"
#include "pool/pool.h"
#include "sync/lock.h"

/* How old may be what is known of limits, when the pool would grow, and at any time. */
enum { LIMITS_NS = 100 * 1000000, LIMITS_MAX_NS = 1000 * 1000000, REFUSED_NS = 500 * 1000000 };

/* ---- more workers, and fewer */

/* Of the workers with lower numbers, how many were not given up. Under the lock. */
static uint32_t size_below(const weft_pool *pool, uint32_t bound)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < bound; i++)
        size += pool->workers[i].gauge.state != GAUGE_GIVEN_UP;
    return size;
}

/* Under the lock. */
static void set_bound(weft_pool *pool, uint32_t bound)
{
    struct pilot *pilot = pool->pilot;
    bool fewer = bound < pilot->bound;
    pilot->bound = bound;
    pilot->given_up = bound - size_below(pool, bound);
    if (fewer)
        signal_raise(&pool->work, UINT32_MAX); /* those who are too many look up */
}

static void set_size(weft_pool *pool, uint32_t size)
{
    uint32_t bound = 0;
    lock_inner(&pool->lock);
    for (uint32_t n = 0; n < size && bound < pool->options.workers; bound++)
        n += pool->workers[bound].gauge.state != GAUGE_GIVEN_UP;
    if (bound != pool->pilot->bound)
        set_bound(pool, bound);
    weft_lock_release(&pool->lock);
}

/* Takes note of a worker that is to be started; NULL: there is none. */
static struct worker *next_to_start(weft_pool *pool)
{
    struct worker *worker = NULL;
    lock_inner(&pool->lock);
    bool may = !auto_is_over(pool) && pool->usable;
    for (uint32_t i = 0; may && !worker && i < pool->pilot->bound; i++) {
        if (pool->workers[i].gauge.state != GAUGE_NONE)
            continue;
        worker = &pool->workers[i];
        worker->gauge.state = GAUGE_AT_WORK;
        worker->gauge.life++;
        pool->usable++;
    }
    weft_lock_release(&pool->lock);
    return worker;
}

/* The system has no room for it: those before it are enough for now. */
static void refuse(weft_pool *pool, struct worker *worker, int error)
{
    struct pilot *pilot = pool->pilot;
    struct open_failure failure = { .error = error };
    snprintf(failure.text, sizeof failure.text, "no thread for a worker: %s", weft_strerror(error));
    lock_inner(&pool->lock);
    worker->gauge.state = GAUGE_NONE;
    set_bound(pool, worker->number);
    pilot->refused = pilot_size(pilot);
    weft_lock_release(&pool->lock);
    pilot->refused_ns = weft_now();
    pool_give_up(pool, &failure);
}

static void resize(weft_pool *pool, uint32_t size)
{
    set_size(pool, size);
    for (struct worker *worker; (worker = next_to_start(pool));) {
        int rc = pool_start_worker(pool, worker);
        if (rc < 0) {
            refuse(pool, worker, rc);
            return;
        }
    }
}

/* ---- what may be had */

static void limit(struct pilot *pilot, uint32_t most, enum auto_limit by)
{
    if (most >= pilot->most)
        return;
    pilot->most = most ? most : 1;
    pilot->limit = by;
}

static void look_at_limits(weft_pool *pool, uint32_t workers, uint32_t opened)
{
    struct pilot *pilot = pool->pilot;
    bool quota;
    uint32_t cpus = base_cpu_thousandths(&quota);
    pilot->most = auto_most(&pool->options, pilot->preset, workers, &pilot->limit);
    if (pilot->refused_ns && pilot->looked_ns - pilot->refused_ns < REFUSED_NS)
        limit(pilot, pilot->refused, AUTO_LIMIT_SYSTEM);
    if (opened)
        limit(pilot, opened, AUTO_LIMIT_ENTER);
    pilot->limits_ns = pilot->looked_ns;
    lock_inner(&pool->lock);
    pilot->cpus = cpus;
    pilot->quota = quota;
    weft_lock_release(&pool->lock);
}

/* ---- a window */

/* Fills in what the pool may have. */
static void fill_in(weft_pool *pool, struct auto_sample *sample)
{
    struct pilot *pilot = pool->pilot;
    lock_inner(&pool->lock);
    uint32_t opened = pilot->opened;
    weft_lock_release(&pool->lock);
    bool may_grow = sample->queued && sample->workers < pilot->most;
    int64_t age = pilot->looked_ns - pilot->limits_ns;
    if (!pilot->limits_ns || age >= (may_grow ? LIMITS_NS : LIMITS_MAX_NS))
        look_at_limits(pool, sample->workers, opened);
    sample->cpus = pilot->cpus;
    sample->quota = pilot->quota;
    sample->most = pilot->most;
    sample->limit = pilot->limit;
    sample->movable = sample->gil_ns > 0 && auto_can_move(pool);
}

static void go_on(weft_pool *pool)
{
    struct pilot *pilot = pool->pilot;
    struct auto_sample sample;
    auto_look(pool, &sample);
    fill_in(pool, &sample);
    pilot->state.size = sample.workers;
    auto_decide(&pilot->state, &sample);
    if (pilot->state.processes && !pilot->processes)
        auto_move(pool);
    resize(pool, pilot->state.size);
    lock_inner(&pool->lock);
    pilot->view = pilot->state;
    weft_lock_release(&pool->lock);
}

/* ---- sleeping */

static bool is_over(weft_pool *pool)
{
    lock_inner(&pool->lock);
    bool over = auto_is_over(pool);
    weft_lock_release(&pool->lock);
    return over;
}

static int attempt_over(void *pool)
{
    return is_over(pool) ? 0 : -EAGAIN;
}

static int attempt_attention(void *pool)
{
    return auto_needs_pilot(pool) || is_over(pool) ? 0 : -EAGAIN;
}

void auto_pilot_main(void *ctx)
{
    weft_pool *pool = ctx;
    struct pilot *pilot = pool->pilot;
    for (;;) {
        (void)signal_wait(&pilot->attention, attempt_attention, pool, WEFT_FOREVER,
                          PARK_SHIELDED | PARK_FOR_POOL_LOOK);
        struct auto_sample before;
        auto_look(pool, &before); /* what came before this moment is nothing to go by */
        auto_forget(&pilot->state);
        pilot->limits_ns = 0;
        do {
            weft_deadline end = weft_after(pilot->state.window_ns);
            if (signal_wait(&pilot->over, attempt_over, pool, end,
                            PARK_SHIELDED | PARK_FOR_POOL_LOOK) == 0)
                return;
            go_on(pool);
        } while (auto_needs_pilot(pool));
    }
}
