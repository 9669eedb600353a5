/* SPDX-License-Identifier: MIT */
/*
 * sync/select.c: waiting for the first of several things.
 *
 * Each round tries every case once, from a random one on so that none starves. If none can happen,
 * it arms all but those on queues (a change from then on ends the wait), and tries those again;
 * takes the locks of all queues, tries these again, and puts itself among those that wait there;
 * and parks, on a node for each case, which releases the locks. Whoever is woken through a case
 * tries that one first: a queue wakes one waiter per item, and that wake-up must not be lost on a
 * strand that takes something else. An event that was set while we waited has happened, even if it
 * has been cleared since.
 *
 * The locks of queues are taken in the order of their addresses, so that no two strands wait for
 * each other. (Go's select does the same.)
 *
 * A queue in shared memory has no such list of those that wait: it is armed as an event is, before
 * it is tried again, and disarmed when the round is over, which passes a wake-up on that was not
 * used.
 *
 * What a case is on is known by its op: queues and events belong to this room, futures and groups
 * bring their own operations (waitable.h).
 */
#include <errno.h>

#include "base/shared_range.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/queue.h"
#include "sync/shared_queue.h"
#include "sync/waitable.h"

static bool is_on_queue(const weft_case *what)
{
    return what->op == WEFT_GET || what->op == WEFT_PUT;
}

/* On one with a list of those that wait. */
static bool is_on_private_queue(const weft_case *what)
{
    return is_on_queue(what) && !is_shared(what->on.queue);
}

static struct shared_queue *shared_queue_of(const weft_case *what)
{
    return (struct shared_queue *)what->on.queue;
}

static struct waitable *waitable_of(const weft_case *what)
{
    return (struct waitable *)(what->op == WEFT_NEXT ? (void *)what->on.group
                                                     : (void *)what->on.future);
}

/* Under the queue's lock. False: it cannot happen now. */
static bool try_locked(weft_case *what, struct list *woken)
{
    int rc = what->op == WEFT_GET ? queue_get_locked(what->on.queue, what->item, woken)
                                  : queue_put_locked(what->on.queue, what->item, woken);
    if (rc == -EAGAIN)
        return false;
    what->result = rc;
    return true;
}

static bool try_queue(weft_case *what)
{
    int rc = what->op == WEFT_GET ? weft_queue_get(what->on.queue, what->item, WEFT_NOW)
                                  : weft_queue_put(what->on.queue, what->item, WEFT_NOW);
    if (rc == -ETIMEDOUT)
        return false;
    what->result = rc;
    return true;
}

static bool try_case(weft_case *what)
{
    if (is_on_queue(what))
        return try_queue(what);
    if (what->op != WEFT_SET)
        return waitable_of(what)->ops->try_case(waitable_of(what), what);
    if (!weft_event_is_set(what->on.event))
        return false;
    what->result = 0;
    return true;
}

static void arm(weft_case *what, struct park_node *node)
{
    if (what->op == WEFT_SET)
        (void)event_arm(what->on.event, node); /* tried again anyway */
    else if (is_on_queue(what))
        shared_queue_wait_for(shared_queue_of(what), what->op == WEFT_GET, node);
    else
        waitable_of(what)->ops->arm(waitable_of(what), node);
}

static bool valid(const weft_case *cases, size_t n)
{
    if (n > WEFT_CASES_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (cases[i].op < WEFT_GET || cases[i].op > WEFT_NEXT)
            return false;
    return true;
}

/* Where to begin: any well-mixed number will do (xorshift64*, Vigna 2016). */
static size_t random_below(size_t n)
{
    static __thread uint64_t state __attribute__((tls_model("initial-exec")));
    if (!state)
        state = strand_self()->id * UINT64_C(0x9E3779B97F4A7C15);
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % n;
}

/* Tries all that are on something, from one on. The index of the one that happened, or -EAGAIN. */
static int try_all(weft_case *cases, size_t n, size_t from)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = (from + i) % n;
        if (cases[at].on.queue && try_case(&cases[at]))
            return (int)at;
    }
    return -EAGAIN;
}

/* The cases that a wait is for, each with its node, and the queues among them. */
struct round {
    weft_case *cases;
    size_t n;
    size_t indices[WEFT_CASES_MAX]; /* of the case behind each node */
    struct park_node nodes[WEFT_CASES_MAX];
    size_t queues_n;
    weft_queue *queues[WEFT_CASES_MAX]; /* each once, in the order of their addresses */
    bool locked;                        /* all of them */
    struct hold_away away;              /* what the strand let go of while it slept */
};

static weft_case *case_of(const struct round *round, size_t nth)
{
    return &round->cases[round->indices[nth]];
}

static void add_queue(struct round *round, weft_queue *queue)
{
    size_t at = round->queues_n;
    while (at && (uintptr_t)round->queues[at - 1] > (uintptr_t)queue)
        at--;
    if (at && round->queues[at - 1] == queue)
        return;
    for (size_t i = round->queues_n++; i > at; i--)
        round->queues[i] = round->queues[i - 1];
    round->queues[at] = queue;
}

static void add_cases(struct round *round, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        weft_case *what = &round->cases[i];
        if (!what->on.queue)
            continue;
        round->indices[round->n] = i;
        if (is_on_private_queue(what))
            add_queue(round, what->on.queue);
        else
            arm(what, &round->nodes[round->n]);
        round->n++;
    }
}

static void lock_all(struct round *round)
{
    for (size_t i = 0; i < round->queues_n; i++)
        lock_inner(queue_lock(round->queues[i]));
    round->locked = true;
}

static void unlock_all(void *ctx)
{
    struct round *round = ctx;
    round->locked = false;
    for (size_t i = 0; i < round->queues_n; i++)
        weft_lock_release(queue_lock(round->queues[i]));
}

static void now_asleep(void *ctx)
{
    struct round *round = ctx;
    unlock_all(round);
    hold_let_go(strand_self(), &round->away);
}

/* Tries the cases on queues, or the others, from one on. The place of what happened, or -EAGAIN. */
static int try_again(struct round *round, bool queues, size_t from, struct list *woken)
{
    for (size_t i = 0; i < round->n; i++) {
        size_t at = (from + i) % round->n;
        weft_case *what = case_of(round, at);
        if (is_on_private_queue(what) == queues &&
            (queues ? try_locked(what, woken) : try_case(what)))
            return (int)at;
    }
    return -EAGAIN;
}

static void join_queues(struct round *round)
{
    for (size_t i = 0; i < round->n; i++) {
        weft_case *what = case_of(round, i);
        if (is_on_private_queue(what))
            queue_wait_for(what->on.queue, what->op == WEFT_GET, &round->nodes[i]);
    }
}

/* Nobody else changes whether a node is queued any more: the wait has been decided. */
static void leave_queues(struct round *round)
{
    for (size_t i = 0; i < round->n; i++) {
        weft_case *what = case_of(round, i);
        if (!is_on_private_queue(what) || !round->nodes[i].queued)
            continue;
        if (!round->locked)
            lock_inner(queue_lock(what->on.queue));
        queue_wait_over(&round->nodes[i]);
        if (!round->locked)
            weft_lock_release(queue_lock(what->on.queue));
    }
}

static void disarm_shared_queues(struct round *round)
{
    for (size_t i = 0; i < round->n; i++) {
        weft_case *what = case_of(round, i);
        if (is_on_queue(what) && is_shared(what->on.queue))
            shared_queue_wait_over(shared_queue_of(what), what->op == WEFT_GET, &round->nodes[i]);
    }
}

/* After a wait, woken through a node or (-EAGAIN) not: the place of what happened, or -EAGAIN. */
static int settle(const struct round *round, int woken)
{
    if (woken >= 0 && case_of(round, (size_t)woken)->op != WEFT_SET &&
        try_case(case_of(round, (size_t)woken)))
        return woken;
    for (size_t i = 0; i < round->n; i++) {
        weft_case *what = case_of(round, i);
        if (what->op == WEFT_SET && event_was_set(&round->nodes[i])) {
            what->result = 0;
            return (int)i;
        }
    }
    return -EAGAIN;
}

/* Parks on all nodes. As settle(); or an error. */
static int park(struct round *round, weft_deadline deadline)
{
    join_queues(round);
    int rc = park_wait_then(round->nodes, round->n, deadline, PARK_FOR_SELECT, now_asleep, round);
    leave_queues(round);
    if (round->locked)
        unlock_all(round);
    return rc >= 0 || rc == -EAGAIN ? settle(round, rc) : rc;
}

/* One round. The index of what happened; -EAGAIN: once more; or an error. */
static int wait_round(weft_case *cases, size_t n, weft_deadline deadline, size_t from)
{
    struct round round;
    struct list woken = LIST_INIT(woken);
    round.cases = cases;
    round.n = round.queues_n = round.away.n = 0;
    add_cases(&round, n);
    int at = try_again(&round, false, from, NULL);
    if (at == -EAGAIN) {
        lock_all(&round);
        at = try_again(&round, true, from, &woken);
        if (at == -EAGAIN) {
            at = park(&round, deadline);
        } else {
            unlock_all(&round);
            park_resume(&woken, 0);
        }
    }
    disarm_shared_queues(&round);
    hold_take_back(strand_self(), &round.away);
    return at < 0 ? at : (int)round.indices[at];
}

int weft_select(weft_case *cases, size_t n, weft_deadline deadline)
{
    if (!valid(cases, n))
        return -EINVAL;
    size_t from = n > 1 ? random_below(n) : 0;
    int rc = try_all(cases, n, from);
    while (rc == -EAGAIN) {
        if (deadline.ns <= 0)
            return -ETIMEDOUT;
        rc = wait_round(cases, n, deadline, from);
    }
    return rc;
}
