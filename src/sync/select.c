/* SPDX-License-Identifier: MIT */
/*
 * sync/select.c: waiting for the first of several things.
 *
 * Each round tries every case once, from a random one on so that none starves. If none can happen,
 * it arms all (a change from then on ends the wait), tries all again, parks on a node for each, and
 * disarms. Whoever is woken through a case tries that one first: a queue wakes one waiter per item,
 * and that wake-up must not be lost on a strand that takes something else. An event that was set
 * while we waited has happened, even if it has been cleared since.
 *
 * What a case is on is known by its op: queues and events belong to this room, futures and groups
 * bring their own operations (waitable.h).
 */
#include <errno.h>

#include "sync/event.h"
#include "sync/queue.h"
#include "sync/waitable.h"

static bool try_case(weft_case *what)
{
    struct waitable *waitable;
    int rc = 0;
    switch (what->op) {
    case WEFT_GET:
        rc = queue_try_get(what->on.queue, what->item);
        break;
    case WEFT_PUT:
        rc = queue_try_put(what->on.queue, what->item);
        break;
    case WEFT_SET:
        rc = weft_event_is_set(what->on.event) ? 0 : -EAGAIN;
        break;
    case WEFT_ENDED:
        waitable = (struct waitable *)what->on.future;
        return waitable->ops->try_case(waitable, what);
    case WEFT_NEXT:
        waitable = (struct waitable *)what->on.group;
        return waitable->ops->try_case(waitable, what);
    }
    if (rc == -EAGAIN)
        return false;
    what->result = rc;
    return true;
}

static void arm(weft_case *what, struct park_node *node)
{
    struct waitable *waitable = (struct waitable *)what->on.future;
    switch (what->op) {
    case WEFT_GET:
        signal_arm(queue_items(what->on.queue), node);
        break;
    case WEFT_PUT:
        signal_arm(queue_space(what->on.queue), node);
        break;
    case WEFT_SET:
        (void)event_arm(what->on.event, node); /* tried again anyway */
        break;
    case WEFT_NEXT:
        waitable = (struct waitable *)what->on.group;
        /* fall through */
    case WEFT_ENDED:
        waitable->ops->arm(waitable, node);
        break;
    }
}

static void disarm(weft_case *what)
{
    struct waitable *waitable = (struct waitable *)what->on.future;
    switch (what->op) {
    case WEFT_GET:
        signal_disarm(queue_items(what->on.queue));
        break;
    case WEFT_PUT:
        signal_disarm(queue_space(what->on.queue));
        break;
    case WEFT_SET:
        break;
    case WEFT_NEXT:
        waitable = (struct waitable *)what->on.group;
        /* fall through */
    case WEFT_ENDED:
        waitable->ops->disarm(waitable);
        break;
    }
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

/* The cases that a wait is for, each with its node. */
struct round {
    size_t n;
    size_t indices[WEFT_CASES_MAX]; /* of the case behind each node */
    struct park_node nodes[WEFT_CASES_MAX];
};

/* After a wait, woken through a node or (-EAGAIN) not: the index of what happened, or -EAGAIN. */
static int settle(weft_case *cases, const struct round *round, int woken)
{
    if (woken >= 0) {
        weft_case *what = &cases[round->indices[woken]];
        if (what->op != WEFT_SET && try_case(what))
            return (int)round->indices[woken];
    }
    for (size_t i = 0; i < round->n; i++) {
        weft_case *what = &cases[round->indices[i]];
        if (what->op == WEFT_SET && event_was_set(&round->nodes[i])) {
            what->result = 0;
            return (int)round->indices[i];
        }
    }
    return -EAGAIN;
}

/* Arms all, tries all, parks. The index of what happened; -EAGAIN: once more; or an error. */
static int wait_round(weft_case *cases, size_t n, weft_deadline deadline, size_t from)
{
    struct round round;
    round.n = 0;
    for (size_t i = 0; i < n; i++) {
        if (!cases[i].on.queue)
            continue;
        round.indices[round.n] = i;
        arm(&cases[i], &round.nodes[round.n++]);
    }
    int rc = try_all(cases, n, from);
    if (rc == -EAGAIN) {
        rc = park_wait(round.nodes, round.n, deadline, 0);
        if (rc >= 0 || rc == -EAGAIN)
            rc = settle(cases, &round, rc);
    }
    for (size_t i = 0; i < round.n; i++)
        disarm(&cases[round.indices[i]]);
    return rc;
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
