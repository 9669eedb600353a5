/* SPDX-License-Identifier: MIT */
/*
 * pool/collect.c: takes from a member's lane what is done, and what it leaves behind when it dies.
 *
 * Nothing in the lane is believed (lane.h): counts are cut to what is possible, a pointer in the
 * log must be inside the assignment's own memory or be a block of shared memory that is as long as
 * the entry says. A lane that claims the impossible is a faulty process, which is killed.
 */
#include <weft/program.h>

#include "pool/crew.h"
#include "process/shared.h"

struct batch *batch_of(struct member *member, uint32_t position)
{
    return &member->lane->batches[position % LANE_BATCHES];
}

static struct assignment *assignment_of(struct member *member, uint32_t position)
{
    return &member->assignments[position % LANE_BATCHES];
}

/* ---- the log */

static bool is_within(const char *memory, size_t bytes, const char *base, size_t size)
{
    return memory >= base && bytes < size && (size_t)(memory - base) < size - bytes;
}

/* Whether bytes and a NUL may be read there. */
static bool is_readable(const struct assignment *what, const struct batch *batch,
                        const char *memory, size_t bytes)
{
    return is_within(memory, bytes, batch->space, sizeof batch->space) ||
           (what->block && is_within(memory, bytes, what->block, what->block_bytes)) ||
           shared_block_bytes(memory) > bytes;
}

/* Copies the next entry. False: it is none that a sound process writes. */
static bool take_entry(const struct assignment *what, const struct batch *batch,
                       struct entry *ret_entry)
{
    struct entry entry = what->log[what->logged];
    if (entry.result && !is_readable(what, batch, entry.result, entry.result_bytes))
        return false;
    if (entry.text && !is_readable(what, batch, entry.text, 0))
        return false;
    *ret_entry = entry;
    return true;
}

/* The entries of items before `done`. False: the harvest is full. */
static bool collect_log(struct member *member, struct assignment *what, const struct batch *batch,
                        struct harvest *harvest)
{
    uint32_t logged = load_relaxed(&batch->logged); /* relaxed: ordered by the load of done */
    struct entry entry;
    while (what->logged < logged && what->logged < what->seen) {
        if (harvest_full(harvest))
            return false;
        if (!take_entry(what, batch, &entry)) {
            member->fate = FATE_FAULTY;
            return true;
        }
        if (entry.item >= what->seen)
            break; /* it is not done yet */
        member->last[0] = entry.result;
        member->last[1] = entry.text;
        what->logged++;
        if (entry.status < 0 && batch->flags & BATCH_PAUSE) {
            member->heard++;
            member->crew->pausing = true;
        }
        what->source->ops->logged(what->source, what, &entry, member, harvest);
    }
    return true;
}

/* ---- a batch */

static void count_items(struct member *member, struct assignment *what, uint32_t n)
{
    int64_t ns = what->item_ns * n;
    member->load_ns -= ns < member->load_ns ? ns : member->load_ns;
}

/* What is done of it so far. False: the harvest is full. */
static bool collect_batch(struct member *member, struct assignment *what, const struct batch *batch,
                          struct harvest *harvest)
{
    uint32_t done = load_acquire(&batch->done); /* pairs with the release in serve.c */
    if (done > what->count) {
        member->fate = FATE_FAULTY;
        done = what->count;
    }
    if (what->source && done > what->seen) {
        what->source->ops->done(what->source, what, what->seen, done);
        count_items(member, what, done - what->seen);
        what->seen = done;
        member->moved_ns = 0;
    }
    return collect_log(member, what, batch, harvest);
}

/* An item's time, of a batch that the process has finished: what it was before counts a half. */
static void learn(struct assignment *what, const struct batch *batch)
{
    int64_t busy = load_relaxed(&batch->busy_ns); /* relaxed: ordered by the load of head */
    struct source *source = what->source;
    if (!source || busy < 0 || !what->seen)
        return;
    int64_t item_ns = busy / what->seen + 1;
    source->item_ns = source->item_ns ? (source->item_ns + item_ns) / 2 : item_ns;
}

/* Its source has heard all that there is of it. */
static void let_go(struct assignment *what, struct harvest *harvest)
{
    if (!what->source)
        return;
    what->source->ops->over(what->source, what, harvest);
    weft_shared_free(what->block);
    what->block = NULL;
    what->source = NULL;
}

/* The slot is free again. */
static void finish(struct member *member, struct assignment *what, struct harvest *harvest)
{
    let_go(what, harvest);
    member->block_bytes -= what->block_bytes;
    member->head++;
    member->crew->in_flight--;
}

bool collect(struct member *member, struct harvest *harvest)
{
    while (member->head != member->tail) {
        /* acquire: pairs with the release in serve.c */
        uint32_t finished = load_acquire(&member->lane->head) - member->head;
        bool whole = finished != 0 && finished <= member->tail - member->head;
        struct assignment *what = assignment_of(member, member->head);
        struct batch *batch = batch_of(member, member->head);
        if (!collect_batch(member, what, batch, harvest))
            return false;
        if (!whole)
            return true;
        if (what->seen != what->count) {
            member->fate = FATE_FAULTY;
            return true; /* it says that it has finished, and has not */
        }
        learn(what, batch);
        finish(member, what, harvest);
    }
    return true;
}

int64_t member_running(struct member *member, struct assignment **ret_what)
{
    for (uint32_t i = member->head; i != member->tail; i++) {
        struct assignment *what = assignment_of(member, i);
        /* relaxed, both: an answer about some moment */
        uint32_t done = load_relaxed(&batch_of(member, i)->done);
        uint32_t next = range_next(load_relaxed(&batch_of(member, i)->range));
        if (done >= what->count)
            continue;
        *ret_what = what;
        return next > done ? (int64_t)done : -1;
    }
    return -1;
}

/* ---- taking back */

static uint32_t position_of(struct member *member, const struct assignment *what)
{
    return (uint32_t)(what - member->assignments);
}

void collect_back(struct member *member, struct assignment *what, uint32_t from)
{
    struct batch *batch = batch_of(member, position_of(member, what));
    uint32_t end = batch_take_back(batch, from, what->count);
    uint32_t n = what->count - end;
    if (!n)
        return;
    what->count = end;
    member->calls -= n;
    count_items(member, what, n);
    what->source->ops->take_back(what->source, what, end, end + n, member);
    if (!end)
        let_go(what, NULL); /* its slot is free when the process has passed it */
}

/* ---- the dead */

/*
 * Blocks that it had taken for the item that it ran. If it ran none, it died between saying that
 * one was done and forgetting its blocks, which the entry collected last has passed on.
 */
static void free_held(struct member *member)
{
    for (int i = 0; i < 2; i++) {
        void *block = load_relaxed(&member->lane->held[i]); /* relaxed: nobody else is left */
        bool passed_on = !member->ran && (block == member->last[0] || block == member->last[1]);
        if (block && !passed_on && shared_block_bytes(block))
            weft_shared_free(block);
        store_relaxed(&member->lane->held[i], NULL); /* relaxed: as above */
    }
}

/* What is left of an assignment of which everything that is done was collected. */
static void settle_rest(struct member *member, struct assignment *what,
                        const struct process_end *end, struct harvest *harvest)
{
    const struct batch *batch = batch_of(member, position_of(member, what));
    uint32_t next = range_next(load_relaxed(&batch->range)); /* relaxed: as above */
    uint32_t rest = what->seen;
    if (rest < what->count && next > rest) {
        member->ran = true;
        what->source->ops->died(what->source, what, rest++, member, end, harvest);
    }
    uint32_t n = what->count - rest;
    what->count = rest;
    if (n)
        what->source->ops->take_back(what->source, what, rest, rest + n, member);
}

bool collect_dead(struct member *member, const struct process_end *end, struct harvest *harvest)
{
    while (member->head != member->tail) {
        struct assignment *what = assignment_of(member, member->head);
        if (!collect_batch(member, what, batch_of(member, member->head), harvest) ||
            harvest_full(harvest))
            return false;
        settle_rest(member, what, end, harvest);
        finish(member, what, harvest);
    }
    free_held(member);
    member->load_ns = 0;
    return true;
}
