/* SPDX-License-Identifier: MIT */
/*
 * pool/map.c: a call for each item of an array.
 *
 * A map of a million items uses a few futures, its slots, again and again: as many as keep every
 * worker busy. When a slot's call has ended, the worker that ended it writes the result where it
 * belongs, gives the slot the next item and queues it again. So nothing passes through the strand
 * that called map, which only starts the slots and waits. (Kind serial has no queue: there the
 * caller itself starts each item.)
 *
 * `lock` guards the fields below it. A slot is idle, or it has an item; only its own end, under the
 * lock, gives it another, and not after `stop`. So whoever sets `stop` may cancel the slots without
 * hitting an item that it does not mean.
 *
 * A slot has two references: the map's, and the one that is the runner's while it has an item and
 * lies unused while it is idle.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shared_range.h"
#include "pool/crew.h"
#include "pool/map.h"
#include "sync/lock.h"

enum { SLOTS_PER_WORKER = 2, SLOTS_MAX = 4096, SLOTS_AUTO = 256 };

struct map {
    struct future_owner owner; /* constant, as are the next five */
    weft_pool *pool;
    const weft_map *spec;
    weft_fn *fn;
    weft_future **slots;
    size_t slots_count;
    weft_lock lock;
    size_t next;           /* item to start */
    size_t running;        /* slots that have an item */
    int stop;              /* an error: nothing more is started */
    bool failed;           /* a call did not succeed */
    struct signal changed; /* raised under the lock: a slot is idle, or stop was set */
};

static const char *item(const weft_map *spec, size_t index)
{
    return spec->in ? (const char *)spec->in + index * map_stride(spec->in_bytes) : NULL;
}

int map_parse_item(weft_pool *pool, weft_fn *fn, const weft_map *spec, size_t index,
                   struct argument *ret)
{
    const void *arg = item(spec, index);
    if (!arg && spec->in_bytes)
        return -EINVAL;
    if (spec->in_bytes == WEFT_STRING || spec->in_bytes == WEFT_POINTER)
        arg = *(const void *const *)arg;
    return argument_parse(ret, &pool->runner, fn, arg, spec->in_bytes);
}

static int check(struct map *map)
{
    const weft_map *spec = map->spec;
    for (size_t i = 0; i < sizeof spec->reserved / sizeof *spec->reserved; i++)
        if (spec->reserved[i])
            return -EINVAL;
    if (spec->on_failure && spec->on_failure != WEFT_CANCEL_REST && spec->on_failure != WEFT_GO_ON)
        return -EINVAL;
    if (!map->fn || (spec->out && (spec->out_bytes == WEFT_POINTER || !spec->out_bytes)))
        return -EINVAL;
    if (!map_is_word(spec->in_bytes) && spec->in_bytes > CALL_BYTES_MAX)
        return -EINVAL;
    if (!map_is_word(spec->out_bytes) && spec->out_bytes > CALL_BYTES_MAX)
        return -EINVAL;
    for (size_t i = 0; i < spec->count; i++) {
        struct argument argument;
        int rc = map_parse_item(map->pool, map->fn, spec, i, &argument);
        if (rc < 0)
            return rc;
        if (!map_is_word(spec->in_bytes))
            break; /* all are alike */
    }
    return 0;
}

static void clear_results(const weft_map *spec, bool fixed_too)
{
    bool fixed = !map_is_word(spec->out_bytes);
    if (spec->out && (!fixed || (fixed_too && !is_shared(spec->out))))
        memset(spec->out, 0, spec->count * map_stride(spec->out_bytes));
    if (spec->outcomes)
        memset(spec->outcomes, 0, spec->count * sizeof *spec->outcomes);
}

/* Moves what a call gave to where it belongs. */
static void store(const weft_map *spec, weft_future *future)
{
    size_t index = future->call.pub.index;
    struct call *call = &future->call;
    if (spec->outcomes)
        spec->outcomes[index] = future->outcome;
    if (spec->out && spec->out_bytes == WEFT_BYTES) {
        *(weft_bytes *)map_result(spec, index) = (weft_bytes){ call->result, call->result_bytes };
        call->result = NULL;
    } else if (spec->out && spec->out_bytes == WEFT_STRING) {
        *(char **)map_result(spec, index) = call->result;
        call->result = NULL;
    } else if (spec->out && future->outcome.how != WEFT_DONE && !is_shared(spec->out)) {
        memset(call->pub.ret, 0, call->pub.ret_bytes); /* what it left half done */
    }
}

void map_mark_unstarted(const weft_map *spec, size_t index)
{
    if (!spec->outcomes)
        return;
    weft_outcome *outcome = &spec->outcomes[index];
    *outcome = (weft_outcome){ .how = WEFT_CANCELLED, .status = -ECANCELED };
    snprintf(outcome->text, sizeof outcome->text, "%s", "cancelled before it started");
}

/* Gives an idle slot the next item. False: there is none. Under the lock. */
static bool load(struct map *map, weft_future *slot)
{
    const weft_map *spec = map->spec;
    struct argument argument = { 0 };
    if (map->stop || map->next == spec->count)
        return false;
    size_t index = map->next++;
    map->running++;
    (void)map_parse_item(map->pool, map->fn, spec, index, &argument); /* was checked */
    future_rearm(slot);
    slot->call.pub.index = index;
    slot->call.pub.arg = argument.pointer ? NULL : argument.bytes;
    slot->call.pub.arg_bytes = argument.size;
    slot->call.pub.pointer = argument.pointer;
    if (spec->out && !map_is_word(spec->out_bytes)) {
        slot->call.pub.ret = map_result(spec, index);
        slot->call.pub.ret_bytes = spec->out_bytes;
    }
    return true;
}

/* A slot's item could not be started after all. */
static void unload(struct map *map, const weft_future *slot, int error)
{
    lock_inner(&map->lock);
    map_mark_unstarted(map->spec, slot->call.pub.index);
    map->running--;
    map->stop = map->stop ? map->stop : error;
    signal_raise(&map->changed, 1);
    weft_lock_release(&map->lock);
}

static void cancel_slots(struct map *map)
{
    for (size_t i = 0; i < map->slots_count; i++)
        weft_future_cancel(map->slots[i]);
}

/* Nothing more is started, for this reason, and what runs is cancelled. */
static void stop(struct map *map, int error)
{
    lock_inner(&map->lock);
    bool first = !map->stop;
    if (first)
        map->stop = error;
    weft_lock_release(&map->lock);
    if (first)
        cancel_slots(map);
}

/* No runner took a slot with an item: takes it back, with the runner's reference. */
static void unstart(struct map *map, weft_future *slot, int error)
{
    if (future_retract(slot)) { /* else it was cancelled, which has been counted */
        stop(map, error);
        unload(map, slot, error);
    }
    future_unref(slot);
}

static bool ends_the_rest(const struct map *map, const weft_outcome *outcome)
{
    return outcome->how != WEFT_DONE && outcome->how != WEFT_CANCELLED &&
           map->spec->on_failure != WEFT_GO_ON;
}

/* A slot's call has ended, with the runner's reference; perhaps the slot goes on. */
static void on_ended(struct future_owner *owner, weft_future *slot)
{
    struct map *map = CONTAINER(owner, struct map, owner);
    weft_pool *pool = map->pool;
    store(map->spec, slot);
    bool done = slot->outcome.how == WEFT_DONE;
    if (ends_the_rest(map, &slot->outcome))
        stop(map, -ECHILD); /* this slot still counts as running, so the map stays */

    lock_inner(&map->lock);
    map->failed |= !done;
    map->running--;
    bool again = pool->kind != WEFT_SERIAL && load(map, slot);
    if (!again)
        signal_raise(&map->changed, 1);
    weft_lock_release(&map->lock); /* from here the map may be gone: it is stopped, or at its end */
    if (!again) {
        future_unref(slot);
        return;
    }
    int rc = pool_requeue(pool, slot);
    if (rc < 0)
        unstart(map, slot, rc);
}

/* Kind auto has as many as it may come to need at once; with many, a second each is too much. */
static size_t slots_for(const weft_pool *pool)
{
    size_t workers = pool_workers(pool), most = SLOTS_PER_WORKER * workers;
    if (pool->kind == WEFT_SERIAL)
        return 1;
    if (pool->kind == WEFT_AUTO && most > SLOTS_AUTO)
        most = workers > SLOTS_AUTO ? workers : SLOTS_AUTO;
    return most < SLOTS_MAX ? most : SLOTS_MAX;
}

static int make_slots(struct map *map)
{
    size_t most = slots_for(map->pool);
    most = most < map->spec->count ? most : map->spec->count;
    map->slots = calloc(most, sizeof *map->slots);
    if (!map->slots)
        return -ENOMEM;
    for (map->slots_count = 0; map->slots_count < most; map->slots_count++) {
        weft_future *slot = malloc(sizeof *slot);
        if (!slot)
            break; /* fewer will do */
        future_init(slot, &map->pool->runner, &map->owner, map->fn);
        slot->stays = true;
        slot->state = FUTURE_ENDED; /* idle: there is nothing that stop() could cancel */
        map->slots[map->slots_count] = slot;
    }
    return map->slots_count ? 0 : -ENOMEM;
}

static void free_slots(struct map *map)
{
    for (size_t i = 0; i < map->slots_count; i++)
        future_unref(map->slots[i]);
    free(map->slots);
}

static int start(struct map *map, weft_future *slot, weft_deadline deadline)
{
    lock_inner(&map->lock);
    bool loaded = load(map, slot);
    weft_lock_release(&map->lock);
    if (!loaded)
        return 0;
    future_ref(slot); /* the runner's */
    int rc = map->pool->runner.ops->start(&map->pool->runner, slot, deadline);
    if (rc < 0)
        unstart(map, slot, rc);
    return rc;
}

static bool has_more(struct map *map)
{
    lock_inner(&map->lock);
    bool more = !map->stop && map->next < map->spec->count;
    weft_lock_release(&map->lock);
    return more;
}

static int start_all(struct map *map, weft_deadline deadline)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < map->slots_count; i++)
        rc = start(map, map->slots[i], deadline);
    while (rc == 0 && map->pool->kind == WEFT_SERIAL && has_more(map)) {
        bool late = !weft_left(weft_sooner(deadline, weft_scope_deadline()));
        rc = weft_cancelled() ? -ECANCELED
             : late           ? -ETIMEDOUT
                              : start(map, map->slots[0], deadline);
    }
    return rc;
}

static bool is_running(struct map *map)
{
    lock_inner(&map->lock);
    bool running = map->running;
    weft_lock_release(&map->lock);
    return running;
}

/* Runs a slot that nobody has started, if the caller is a worker of this very pool. */
static bool help(struct map *map, weft_deadline deadline)
{
    const struct runner_ops *ops = map->pool->runner.ops;
    for (size_t i = 0; ops->help && i < map->slots_count; i++)
        if (ops->help(&map->pool->runner, map->slots[i], deadline))
            return true;
    return false;
}

/* A wait for all slots to be idle. */
struct await {
    struct map *map;
    weft_deadline deadline;
    struct hold_away away; /* let go of once, not at each call that runs inside of the wait */
};

static int attempt_all(void *ctx)
{
    struct await *await = ctx;
    while (is_running(await->map)) {
        hold_let_go(strand_self(), &await->away);
        if (!help(await->map, await->deadline))
            return -EAGAIN;
    }
    return 0;
}

static int wait_all(struct map *map, weft_deadline deadline, unsigned flags)
{
    struct await await = { .map = map, .deadline = deadline };
    int rc = signal_wait(&map->changed, attempt_all, &await, deadline, flags | PARK_FOR_POOL_MAP);
    hold_take_back(strand_self(), &await.away);
    return rc;
}

static int over_processes(weft_pool *pool, weft_fn *fn, const weft_map *spec,
                          weft_deadline deadline)
{
    if (!crew_is_own(pool->crew))
        return -ENOTCONN;
    pool_count_in(pool);
    int rc = map_over_processes(pool, fn, spec, deadline);
    pool_count_out(pool);
    return rc;
}

/* The pool of processes that runs a map; NULL: it is none of processes. */
static weft_pool *processes_for(weft_pool *pool, weft_fn *fn, const weft_map *spec)
{
    if (pool->crew)
        return pool;
    return spec->in_bytes == WEFT_POINTER ? NULL : auto_processes_for(pool, fn, NULL);
}

int weft_pool_map(weft_pool *pool, weft_fn *fn, const weft_map *spec, weft_deadline deadline)
{
    struct map map = {
        .owner = { .ended = on_ended,
                   .on_error = pool->options.on_error,
                   .on_error_ctx = pool->options.on_error_ctx },
        .pool = pool,
        .spec = spec,
        .fn = fn,
    };
    int rc = check(&map);
    if (rc < 0)
        return rc;
    weft_pool *processes = processes_for(pool, fn, spec);
    clear_results(spec, !processes); /* a crew clears those of fixed size itself */
    if (!spec->count)
        return 0;
    if (processes)
        return over_processes(processes, fn, spec, deadline);
    pool_count_in(pool);
    rc = make_slots(&map);
    if (rc == 0) {
        rc = start_all(&map, deadline);
        if (rc == 0)
            rc = wait_all(&map, deadline, 0);
        if (rc < 0)
            stop(&map, rc);
        (void)wait_all(&map, WEFT_FOREVER, PARK_SHIELDED);
        rc = map.stop ? map.stop : map.failed ? -ECHILD : 0;
    }
    for (size_t i = map.next; i < spec->count; i++)
        map_mark_unstarted(spec, i);
    free_slots(&map);
    pool_count_out(pool);
    return rc;
}
