/* SPDX-License-Identifier: MIT */
/*
 * sync/gil_turns.c: whose turn it is to hold a global interpreter lock.
 */
#include "sync/gil.h"

enum { LOOKS_MAX = 63 };

static int64_t interval(const struct gil *gil)
{
    return gil->switch_ns > 0 ? gil->switch_ns : GIL_SWITCH_NS;
}

void gil_queue(struct gil *gil, struct gil_waiter *waiter, bool first)
{
    struct list *link = &waiter->node.link;
    waiter->node.queued = true;
    if (first) {
        link->prev = &gil->waiters;
        link->next = gil->waiters.next;
        link->next->prev = link;
        gil->waiters.next = link;
    } else {
        list_push_back(&gil->waiters, link);
    }
}

static void take_out(struct gil_waiter *waiter)
{
    list_remove(&waiter->node.link);
    waiter->node.queued = false;
    list_remove(&waiter->brief);
}

void gil_unqueue(struct gil *gil, struct gil_waiter *waiter, int64_t now)
{
    (void)now;
    take_out(waiter);
    if (!list_empty(&gil->waiters))
        return;
    gil->since_ns = 0;
    store_relaxed(&gil->word, load_relaxed(&gil->word) & ~(uint64_t)GIL_BITS);
}

static bool grant(struct gil *gil, struct gil_waiter *waiter, int64_t now, struct list *ret_resumed)
{
    if (waiter->state == GIL_PARKED && !park_decide_woken(&waiter->node))
        return false;
    take_out(waiter);
    if (gil->since_ns && now - gil->since_ns > gil->counts.longest_hold_ns)
        gil->counts.longest_hold_ns = now - gil->since_ns;
    if (now - waiter->since_ns > gil->counts.longest_wait_ns)
        gil->counts.longest_wait_ns = now - waiter->since_ns;
    gil->counts.switches++;
    gil->since_ns = gil->turn_ns = now;
    store_relaxed(&gil->word, gil_word_of(waiter->strand) | GIL_WANTED);
    if (waiter->state == GIL_PARKED)
        list_push_back(ret_resumed, &waiter->node.link);
    else
        store_release(&waiter->state, GIL_GRANTED);
    return true;
}

static bool grant_first(struct gil *gil, int64_t now, struct list *ret_resumed)
{
    for (struct list *it = gil->waiters.next; it != &gil->waiters;) {
        struct gil_waiter *waiter = CONTAINER(it, struct gil_waiter, node.link);
        it = it->next;
        if (grant(gil, waiter, now, ret_resumed))
            return true;
    }
    return false;
}

void gil_pass_on(struct gil *gil, int64_t now, struct list *ret_resumed)
{
    if (grant_first(gil, now, ret_resumed)) {
        if (list_empty(&gil->waiters)) {
            gil->since_ns = 0;
            store_relaxed(&gil->word, load_relaxed(&gil->word) & ~(uint64_t)GIL_BITS);
        }
        return;
    }
    gil->since_ns = 0;
    store_release(&gil->word, list_empty(&gil->waiters) ? 0 : GIL_WANTED);
}

bool gil_take_turns(struct gil *gil, struct gil_waiter *holder, int64_t now,
                    struct list *ret_resumed)
{
    if (now - gil->turn_ns < interval(gil)) {
        gil->looks = LOOKS_MAX;
        return false;
    }
    if (!grant_first(gil, now, ret_resumed))
        return false;
    gil_queue(gil, holder, false);
    return true;
}
