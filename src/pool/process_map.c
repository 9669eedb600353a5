/* SPDX-License-Identifier: MIT */
/*
 * pool/process_map.c: a map over a pool of processes: a source of batches of neighbouring items.
 *
 * How many items a batch has is measured: as many as are thought to take BATCH_NS, at most half of
 * what would be each member's share of the rest, so that all end at about the same time (guided
 * self-scheduling, Polychronopoulos and Kuck, 1987), and no more than MAP_BATCH_BYTES hold. The
 * first batches, of which nothing is known, are one item each.
 *
 * Over arrays in shared memory each member has a share of the items, for the sake of its page
 * tables (shares.h); else items are given in their order.
 *
 * What came back, because its process died or another has nothing to do, is a hole: items that were
 * given and are to be given again, before all others. `open` counts items that are in lanes, or
 * whose failure is being told. The map is over when no batch is in a lane, nothing open and nothing
 * left to be given.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/program.h>

#include "base/shared_range.h"
#include "pool/map_batch.h"
#include "pool/shares.h"
#include "process/shared.h"
#include "sync/lock.h"

#define BATCH_NS (500 * WEFT_US)
#define STOP_NS  WEFT_MS /* a call that is nearly over need not be asked to end */

enum { GROWTH = 16 };

struct hole {
    size_t first, count;
    uint32_t attempt;
};

struct process_map {
    struct source source;
    struct map_job job; /* constant, as are the next two */
    struct crew *crew;
    bool logs;            /* every item has an entry */
    struct shares shares; /* what was never given */
    struct hole *holes;   /* room for all that could come back */
    size_t holes_count, holes_room;
    size_t batches; /* in lanes */
    size_t open;
    size_t last_n; /* items of the last batch */
    int stop;      /* an error: nothing more is started */
    bool failed;   /* a call did not succeed */
    struct signal over;
};

static struct process_map *map_of(struct source *source)
{
    return CONTAINER(source, struct process_map, source);
}

static bool has_more(const struct process_map *map)
{
    return !map->stop && (map->holes_count || map->shares.left);
}

static bool is_over(const struct process_map *map)
{
    return !map->batches && !map->open && !has_more(map);
}

static void offer(struct process_map *map)
{
    if (has_more(map))
        crew_offer(map->crew, &map->source);
    else if (is_over(map))
        signal_raise(&map->over, UINT32_MAX);
}

/* ---- items that come back */

/* Each batch can leave two: what it was running, and what it had not begun. */
static bool reserve_holes(struct process_map *map)
{
    size_t needed = map->holes_count + 2 * (map->batches + 1);
    if (needed <= map->holes_room)
        return true;
    struct hole *grown = realloc(map->holes, 2 * needed * sizeof *grown);
    if (!grown)
        return false;
    map->holes = grown;
    map->holes_room = 2 * needed;
    return true;
}

static void add_hole(struct process_map *map, size_t first, size_t count, uint32_t attempt)
{
    struct hole *last = map->holes_count ? &map->holes[map->holes_count - 1] : NULL;
    if (last && last->attempt == attempt && first + count == last->first) {
        last->first = first; /* taken back piece by piece, from the end */
        last->count += count;
        return;
    }
    assert(map->holes && map->holes_count < map->holes_room); /* reserve_holes() has seen to it */
    map->holes[map->holes_count++] = (struct hole){ first, count, attempt };
}

/* Of an item that is not done. Shared memory stays as it is. */
static void clear_result(const weft_map *spec, size_t index)
{
    if (map_fixed_results(spec) && !is_shared(spec->out))
        memset(map_result(spec, index), 0, spec->out_bytes);
}

/* An item that was never started. What others left in its result was never cleared. */
static void end_unstarted(struct process_map *map, size_t index)
{
    clear_result(map->job.spec, index);
    map_mark_unstarted(map->job.spec, index);
}

static void end_ungiven(struct process_map *map)
{
    for (size_t first, n; (n = shares_next(&map->shares, 0, &first));) {
        for (size_t i = 0; i < n; i++)
            end_unstarted(map, first + i);
        shares_take(&map->shares, 0, n);
    }
}

static void mark_holes(struct process_map *map)
{
    while (map->holes_count) {
        const struct hole *hole = &map->holes[--map->holes_count];
        for (size_t i = 0; i < hole->count; i++)
            end_unstarted(map, hole->first + i);
    }
}

/* Nothing more is started, for this reason; what runs is asked to end, if it does not soon. */
static void stop_map(struct process_map *map, int error)
{
    struct crew *crew = map->crew;
    if (map->stop)
        return;
    map->stop = error;
    mark_holes(map);
    map->source.stop_ns = weft_after(STOP_NS).ns;
    for (uint32_t i = 0; i < crew->members_count; i++) {
        struct member *member = crew->members[i];
        for (uint32_t k = member->head; k != member->tail; k++)
            if (member->assignments[k % LANE_BATCHES].source == &map->source)
                collect_back(member, &member->assignments[k % LANE_BATCHES], 0);
    }
    crew_look_at(crew, map->source.stop_ns);
    offer(map);
}

/* ---- giving */

/* How many of the next items shall make a batch. */
static size_t batch_count(struct process_map *map, size_t there, uint32_t most)
{
    size_t left = map->shares.left;
    for (size_t i = 0; i < map->holes_count; i++)
        left += map->holes[i].count;
    size_t share = left / (2 * (size_t)map->crew->members_count) + 1;
    int64_t item_ns = map->source.item_ns;
    size_t n = item_ns ? (size_t)(BATCH_NS / item_ns) + 1 : 1;
    size_t bytes = MAP_BATCH_BYTES / map_item_bytes(&map->job) + 1;
    n = n < share ? n : share;
    n = n < GROWTH * map->last_n ? n : GROWTH * map->last_n;
    n = n < bytes ? n : bytes;
    n = n < there ? n : there;
    return n < most ? n : most;
}

/* A member's next items: a hole's, or some that were never given. Returns how many there are. */
static size_t what_is_next(struct process_map *map, uint32_t member, size_t *ret_first,
                           uint32_t *ret_attempt)
{
    *ret_attempt = 1;
    if (!map->holes_count)
        return shares_next(&map->shares, member, ret_first);
    const struct hole *hole = &map->holes[map->holes_count - 1];
    *ret_first = hole->first;
    *ret_attempt = hole->attempt;
    return hole->count;
}

static void take_next(struct process_map *map, uint32_t member, size_t n)
{
    if (!map->holes_count) {
        shares_take(&map->shares, member, n);
        return;
    }
    struct hole *hole = &map->holes[map->holes_count - 1];
    hole->first += n;
    hole->count -= n;
    if (!hole->count)
        map->holes_count--;
}

static void fail_item(struct process_map *map, size_t index, const weft_outcome *outcome,
                      struct harvest *harvest);

static void fail_for_memory(struct process_map *map, uint32_t member, size_t index,
                            struct harvest *harvest)
{
    weft_outcome outcome = { .how = WEFT_FAILED, .status = -ENOMEM };
    snprintf(outcome.text, sizeof outcome.text, "%s", weft_strerror(-ENOMEM));
    take_next(map, member, 1);
    fail_item(map, index, &outcome, harvest);
}

static bool give(struct source *source, struct member *member, struct batch *batch, uint32_t most,
                 struct harvest *harvest)
{
    struct process_map *map = map_of(source);
    struct assignment *what = member_next(member);
    char *memory = NULL;
    size_t first;
    struct map_layout layout = { 0 };
    while (has_more(map) && !memory) {
        if (harvest_full(harvest))
            return false;
        size_t there = what_is_next(map, member->number, &first, &what->attempt);
        size_t n = batch_count(map, there, most);
        bool reserved = reserve_holes(map);
        for (; n && reserved && !memory; n /= 2) {
            layout = map_plan(&map->job, first, n);
            memory = map_batch_memory(what, batch, layout.bytes);
        }
        if (!memory && map->batches)
            return false; /* over() offers the rest, when there may be memory again */
        if (!memory)
            fail_for_memory(map, member->number, first, harvest);
    }
    if (!memory)
        return false;
    take_next(map, member->number, layout.n);
    map->batches++;
    map->open += layout.n;
    map->last_n = layout.n;
    what->first = first;
    what->count = (uint32_t)layout.n;
    batch->flags = map->logs ? BATCH_LOG : 0;
    if (map->job.spec->on_failure != WEFT_GO_ON)
        batch->flags |= BATCH_PAUSE;
    batch->fn = process_origin_word(map->job.pool->crew->origin, map->job.fn);
    map_fill(&map->job, what, batch, memory, &layout);
    return true;
}

/* ---- results */

static void on_done(struct source *source, struct assignment *what, uint32_t from, uint32_t to)
{
    const weft_map *spec = map_of(source)->job.spec;
    if (!what->rets || is_shared(spec->out))
        return;
    size_t bytes = spec->out_bytes;
    memcpy(map_result(spec, what->first + from), what->rets + from * bytes, (to - from) * bytes);
}

static bool ends_the_rest(const struct process_map *map, const weft_outcome *outcome)
{
    return outcome->how != WEFT_CANCELLED && map->job.spec->on_failure != WEFT_GO_ON;
}

/* An item that is not done after all. */
static void fail_item(struct process_map *map, size_t index, const weft_outcome *outcome,
                      struct harvest *harvest)
{
    const weft_map *spec = map->job.spec;
    map->failed = true;
    if (spec->outcomes)
        spec->outcomes[index] = *outcome;
    clear_result(spec, index); /* what it left half done */
    if (map->source.on_error && outcome->how != WEFT_CANCELLED && !harvest_full(harvest)) {
        harvest->failures[harvest->failed++] = (struct failure){ &map->source, *outcome };
        map->open++; /* until it was told */
    }
    if (ends_the_rest(map, outcome))
        stop_map(map, -ECHILD);
}

/* Moves a result of any size to where it belongs. False: no memory. */
static bool store_result(const weft_map *spec, size_t index, const struct entry *entry)
{
    void *result = NULL;
    if (entry->result) {
        result = spec->out ? call_buffer(entry->result, entry->result_bytes) : NULL;
        if (shared_block_bytes(entry->result))
            weft_shared_free(entry->result);
        if (!result)
            return !spec->out;
    }
    if (spec->out && spec->out_bytes == WEFT_BYTES)
        *(weft_bytes *)(void *)map_result(spec, index) =
            (weft_bytes){ result, result ? entry->result_bytes : 0 };
    else if (spec->out && spec->out_bytes == WEFT_STRING)
        *(char **)(void *)map_result(spec, index) = result;
    return true;
}

static weft_how how_of(const struct process_map *map, int status)
{
    if (status >= 0)
        return WEFT_DONE;
    return status == -ECANCELED && map->stop ? WEFT_CANCELLED : WEFT_FAILED;
}

static void on_logged(struct source *source, struct assignment *what, const struct entry *entry,
                      struct member *member, struct harvest *harvest)
{
    struct process_map *map = map_of(source);
    size_t index = what->first + entry->item;
    weft_outcome outcome = { .attempts = what->attempt,
                             .worker = member->number,
                             .started_ns = entry->started_ns,
                             .ended_ns = entry->ended_ns };
    outcome.status = store_result(map->job.spec, index, entry) ? entry->status : -ENOMEM;
    outcome.how = how_of(map, outcome.status);
    entry_take_text(entry, outcome.text, sizeof outcome.text);
    if (outcome.how == WEFT_DONE) {
        if (map->job.spec->outcomes)
            map->job.spec->outcomes[index] = outcome;
        return;
    }
    if (!outcome.text[0])
        snprintf(outcome.text, sizeof outcome.text, "%s", weft_strerror(outcome.status));
    fail_item(map, index, &outcome, harvest);
}

/* ---- what did not end by itself */

static void on_take_back(struct source *source, struct assignment *what, uint32_t from, uint32_t to,
                         struct member *member)
{
    struct process_map *map = map_of(source);
    (void)member;
    map->open -= to - from;
    if (map->stop)
        for (uint32_t i = from; i < to; i++)
            end_unstarted(map, what->first + i);
    else
        add_hole(map, what->first + from, to - from, what->attempt);
    offer(map);
}

static void on_died(struct source *source, struct assignment *what, uint32_t item,
                    struct member *member, const struct process_end *end, struct harvest *harvest)
{
    struct process_map *map = map_of(source);
    const weft_options *options = map->crew->options;
    size_t index = what->first + item;
    weft_outcome outcome = { .attempts = what->attempt, .started_ns = what->given_ns };
    int64_t since = load_relaxed(&member->lane->since_ns); /* relaxed: its process is gone */
    if (since >= what->given_ns)
        outcome.started_ns = since;
    describe_death(member, end, &outcome, outcome.text, sizeof outcome.text);
    if (outcome.how == WEFT_CRASHED && what->attempt < options->attempts_max && !map->stop) {
        add_hole(map, index, 1, what->attempt + 1);
        offer(map);
        return;
    }
    fail_item(map, index, &outcome, harvest);
}

static void on_over(struct source *source, struct assignment *what, struct harvest *harvest)
{
    struct process_map *map = map_of(source);
    weft_outcome outcome = { .how = WEFT_CRASHED, .status = -ECHILD, .attempts = what->attempt };
    snprintf(outcome.text, sizeof outcome.text, "%s",
             "its process has written nonsense over its results");
    for (uint32_t i = what->logged; map->logs && i < what->seen; i++)
        fail_item(map, what->first + i, &outcome, harvest);
    map->batches--;
    map->open -= what->count;
    offer(map);
}

static bool on_fail(struct source *source, const struct crew_failure *failure,
                    struct harvest *harvest)
{
    struct process_map *map = map_of(source);
    weft_outcome outcome = { .how = WEFT_FAILED };
    if (!failure) {
        stop_map(map, -EPIPE);
        return true;
    }
    outcome.status = failure->error;
    snprintf(outcome.text, sizeof outcome.text, "%s", failure->text);
    while (has_more(map)) {
        size_t index;
        uint32_t attempt;
        if (harvest_full(harvest))
            return false;
        (void)what_is_next(map, 0, &index, &attempt);
        take_next(map, 0, 1);
        fail_item(map, index, &outcome, harvest);
    }
    offer(map);
    return true;
}

static void on_told(struct source *source)
{
    struct process_map *map = map_of(source);
    map->open--;
    offer(map);
}

static const struct source_ops map_ops = {
    .give = give,
    .done = on_done,
    .logged = on_logged,
    .over = on_over,
    .take_back = on_take_back,
    .died = on_died,
    .fail = on_fail,
    .told = on_told,
};

/* ---- the caller's side */

static bool has_ended(void *ctx)
{
    return is_over(ctx);
}

static void arm(void *ctx, struct park_node *node)
{
    struct process_map *map = ctx;
    signal_arm(&map->over, node);
}

static int attempt_end(void *ctx)
{
    struct process_map *map = ctx;
    lock_inner(&map->crew->lock);
    int rc = is_over(map) ? 0 : -EAGAIN;
    weft_lock_release(&map->crew->lock);
    return rc;
}

static int wait_for(struct process_map *map, weft_deadline deadline, unsigned flags)
{
    flags |= PARK_FOR_POOL_MAP;
    const struct awaited end = { has_ended, arm, map };
    int rc = crew_lead(map->crew, &end, deadline, flags);
    return rc == -EAGAIN ? signal_wait(&map->over, attempt_end, map, deadline, flags) : rc;
}

/* Hands the map to the crew, or takes it back for a reason. */
static void change(struct process_map *map, int reason)
{
    struct harvest harvest;
    harvest_init(&harvest);
    crew_enter(map->crew);
    if (!reason && map->crew->closing)
        reason = -EPIPE;
    if (reason)
        stop_map(map, reason);
    offer(map);
    crew_drive(map->crew, &harvest);
    crew_leave(map->crew, &harvest);
}

static bool is_in_place(const weft_map *spec)
{
    return is_shared(spec->in) || (map_fixed_results(spec) && is_shared(spec->out));
}

int map_over_processes(weft_pool *pool, weft_fn *fn, const weft_map *spec, weft_deadline deadline)
{
    struct process_map map = {
        .source = { .ops = &map_ops,
                    .on_error = pool->options.on_error,
                    .on_error_ctx = pool->options.on_error_ctx },
        .job = { pool, fn, spec },
        .crew = pool->crew,
        .logs = spec->outcomes || (spec->out && map_is_word(spec->out_bytes)),
        .last_n = 1,
    };
    list_init(&map.source.link);
    shares_open(&map.shares, spec->count, is_in_place(spec) ? map.crew->members_count : 1);
    change(&map, 0);
    int rc = wait_for(&map, deadline, 0);
    if (rc < 0) {
        change(&map, rc);
        (void)wait_for(&map, WEFT_FOREVER, PARK_SHIELDED);
    }
    lock_inner(&map.crew->lock); /* nobody is inside of what ended it any more */
    list_remove(&map.source.link);
    weft_lock_release(&map.crew->lock);
    end_ungiven(&map);
    shares_close(&map.shares);
    free(map.holes);
    return map.stop ? map.stop : map.failed ? -ECHILD : 0;
}
