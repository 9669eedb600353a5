/* SPDX-License-Identifier: MIT */
/*
 * pool/dispatch.c: which member gets which calls, and when.
 *
 * A member has in its lane what is thought to take TARGET_NS, so that it need not wait for us after
 * each call, but no more, so that no call waits behind others while another member has nothing to
 * do. What a call takes is measured, batch by batch. As long as nothing is known, a member gets one
 * call at a time. First those get something that have nothing, and of these always the first ones:
 * a process that has just been at work is awake.
 *
 * Guesses can be wrong: a call may take a thousand times as long as those before it. When there is
 * nothing more to give and a member has nothing to do, calls that have not begun are taken back
 * from the one that has most of them and given again (work stealing, by the owner of it all).
 */
#include "pool/crew.h"

#define TARGET_NS (1000 * WEFT_US)
#define STEAL_NS  (20 * WEFT_US) /* what is sooner done than taken back and given again */
#define STUCK_NS  (1000 * WEFT_US)

/* What a member's batches may take in blocks, as long as it has two: more would leave the cache. */
#define BLOCK_BYTES_MAX ((size_t)1 << 20)

static bool is_source(const struct crew *crew)
{
    return !list_empty((struct list *)&crew->sources);
}

/* How many calls the process may get. */
static uint32_t calls_left(const struct member *member)
{
    uint32_t most = member->crew->options->calls_per_worker_max;
    return most ? most - member->calls : UINT32_MAX;
}

static bool has_room(const struct member *member)
{
    uint32_t depth = member->tail - member->head;
    return member->state == MEMBER_READY && depth < LANE_BATCHES &&
           (depth < 2 || member->block_bytes < BLOCK_BYTES_MAX) && calls_left(member);
}

void publish(struct member *member, struct assignment *what, struct batch *batch)
{
    struct source *source = what->source;
    uint32_t depth = member->tail - member->head;
    what->seen = what->logged = 0;
    what->given_ns = weft_now();
    what->item_ns = source->item_ns ? source->item_ns : TARGET_NS;
    member->load_ns += what->item_ns * what->count;
    member->calls += what->count;
    store_relaxed(&batch->done, 0); /* relaxed: published by tail; a leader may look at it */
    batch->logged = 0;
    batch->attempt = what->attempt;
    batch->first = what->first;
    if (depth == LANE_BATCHES / 2)
        batch->flags |= BATCH_RING; /* half is done when this one is */
    if (member->crew->options->call_timeout_ns) {
        batch->flags |= BATCH_WATCHED;
        crew_look_at(member->crew, weft_after(member->crew->options->call_timeout_ns).ns);
    }
    store_relaxed(&batch->range, range_of(0, what->count)); /* relaxed: published by tail */
    member->block_bytes += what->block_bytes;
    member->tail++;
    member->crew->in_flight++;
    member->to_wake = true;
    lane_publish(member->lane);
}

/* Gives the member a batch. False: no source has one. */
static bool give(struct crew *crew, struct member *member, struct harvest *harvest)
{
    struct assignment *what = member_next(member);
    struct batch *batch = lane_next(member->lane);
    while (is_source(crew)) {
        struct source *source = CONTAINER(list_pop_front(&crew->sources), struct source, link);
        *what = (struct assignment){ .source = source, .attempt = 1 };
        if (!source->ops->give(source, member, batch, calls_left(member), harvest))
            continue;
        crew_offer(crew, source); /* those that have something take turns */
        publish(member, what, batch);
        return true;
    }
    return false;
}

/* A batch for each member that has less to do than load_ns. True: somebody got one. */
static bool give_all(struct crew *crew, int64_t load_ns, struct harvest *harvest)
{
    bool gave = false;
    for (uint32_t i = 0; i < crew->members_count && is_source(crew); i++) {
        struct member *member = crew->members[i];
        bool wants = member->head == member->tail || member->load_ns < load_ns;
        if (wants && has_room(member))
            gave |= give(crew, member, harvest);
    }
    return gave;
}

/* ---- taking back */

/* How many calls of a member have not begun. */
static uint32_t unbegun(struct member *member)
{
    uint32_t n = 0;
    for (uint32_t i = member->head; i != member->tail; i++) {
        const struct assignment *what = &member->assignments[i % LANE_BATCHES];
        uint32_t next = range_next(load_relaxed(&batch_of(member, i)->range)); /* a guess */
        n += next < what->count ? what->count - next : 0;
    }
    struct assignment *what;
    return n && member_running(member, &what) < 0 ? n - 1 : n; /* it is about to begin one */
}

/* Whether what has not begun would wait so long that others should do it. */
static bool is_behind(struct member *member, uint32_t n)
{
    struct assignment *what;
    if (member_running(member, &what) < 0)
        what = &member->assignments[member->head % LANE_BATCHES];
    int64_t now = weft_now();
    if (!member->moved_ns)
        member->moved_ns = now;
    return what->item_ns * n > STEAL_NS || now - member->moved_ns >= STUCK_NS;
}

/* Takes half of what has not begun, the last first; all of one that makes no progress. */
static void take_some(struct member *member, uint32_t n)
{
    bool stuck = weft_now() - member->moved_ns >= STUCK_NS;
    uint32_t wanted = stuck ? n : (n + 1) / 2;
    for (uint32_t i = member->tail; wanted && i != member->head;) {
        struct assignment *what = &member->assignments[--i % LANE_BATCHES];
        uint32_t before = what->count;
        collect_back(member, what, before > wanted ? before - wanted : 0);
        wanted -= before - what->count;
    }
}

/* True: there is something to give again. Else, if others may fall behind, looks again later. */
static bool steal(struct crew *crew)
{
    struct member *victim = NULL;
    uint32_t most = 0;
    for (uint32_t i = 0; i < crew->members_count; i++) {
        uint32_t n =
            crew->members[i]->head == crew->members[i]->tail ? 0 : unbegun(crew->members[i]);
        if (n > most) {
            most = n;
            victim = crew->members[i];
        }
    }
    if (!victim)
        return false;
    if (is_behind(victim, most))
        take_some(victim, most);
    if (!is_source(crew))
        crew_look_at(crew, weft_after(STUCK_NS).ns);
    return is_source(crew);
}

static bool has_idle(const struct crew *crew)
{
    for (uint32_t i = 0; i < crew->members_count; i++) {
        const struct member *member = crew->members[i];
        if (member->head == member->tail && has_room(member))
            return true;
    }
    return false;
}

static void wake(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->members_count; i++) {
        struct member *member = crew->members[i];
        if (member->to_wake)
            lane_wake(member->lane);
        member->to_wake = false;
    }
}

void dispatch(struct crew *crew, struct harvest *harvest)
{
    if (crew->once)
        return; /* each has got its call */
    if (is_source(crew)) {
        give_all(crew, 0, harvest);
        while (is_source(crew) && give_all(crew, TARGET_NS, harvest)) {
        }
    }
    /* half of one's calls may be fewer than there are others with nothing to do */
    while (!is_source(crew) && crew->in_flight && has_idle(crew) && steal(crew))
        give_all(crew, 0, harvest);
    wake(crew);
}
