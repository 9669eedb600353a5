/* SPDX-License-Identifier: MIT */
/*
 * sync/once.c: something that is done once.
 *
 *     FRESH --first comer--> RUNNING --fn succeeds--> DONE
 *       ^------------------------/ fn fails
 *
 * RUNNING has a second form, WAITED, when somebody may be parked on the word. A strand that calls
 * itself through fn would wait for ever: it keeps a list of the onces it is in the middle of, and
 * finds itself there.
 *
 * In shared memory the word of a once that is being done says above those two bits which process
 * does it. If that one is dead, the next comer does it again.
 */
#include <errno.h>

#include <weft/once.h>

#include "base/shared_range.h"
#include "park/park.h"

enum { FRESH, DONE, RUNNING, WAITED, STATE = 3 };

enum { PARTICIPANT_SHIFT = 2 };

struct once_run {
    struct once_run *outer;
    const weft_once *once;
};

static bool in_the_middle_of(const weft_once *once)
{
    for (struct once_run *frame = strand_self()->onces; frame; frame = frame->outer)
        if (frame->once == once)
            return true;
    return false;
}

struct settle {
    weft_once *once;
    uint32_t word;
};

/* Under the bucket's guard, when all that wait have been claimed. */
static void settle(struct park_found *found, void *ctx)
{
    struct settle *settle = ctx;
    (void)found;
    /* release: pairs with the acquire of whoever finds it done */
    store_release(&settle->once->word, settle->word);
}

/* Returns fn's error, or 0. */
static int call(weft_once *once, int (*fn)(void *ctx), void *ctx)
{
    struct strand *self = strand_self();
    struct once_run frame = { .outer = self->onces, .once = once };
    self->onces = &frame;
    int rc = fn(ctx);
    self->onces = frame.outer;
    return rc < 0 ? rc : 0;
}

static int run(weft_once *once, int (*fn)(void *ctx), void *ctx)
{
    int rc = call(once, fn, ctx);
    struct settle end = { once, rc ? FRESH : DONE };
    uint32_t running = RUNNING;
    /* release: as in settle(). It fails if somebody waits */
    if (!cas_release(&once->word, &running, end.word))
        park_wake_then(&once->word, UINT32_MAX, settle, &end);
    return rc;
}

/* Waits until the word may have changed. */
static int wait_while_running(weft_once *once, uint32_t word)
{
    if (in_the_middle_of(once))
        return -EDEADLK;
    if (word == RUNNING && !cas_relaxed(&once->word, &word, WAITED))
        return 0; /* relaxed: publishes nothing; park checks the word again */
    struct park_node node = { .word = &once->word, .value = WAITED };
    int rc = park_wait(&node, 1, WEFT_FOREVER, PARK_FOR_ONCE);
    return rc == -EAGAIN || rc >= 0 ? 0 : rc;
}

/* ---- in shared memory */

static int run_shared(weft_once *once, int (*fn)(void *ctx), void *ctx)
{
    int rc = call(once, fn, ctx);
    /* acq_rel for its release: pairs with the acquire of whoever finds it done */
    uint32_t before = swap_acq_rel(&once->word, rc ? FRESH : DONE);
    if ((before & STATE) == WAITED)
        park_wake_shared(&once->word, INT32_MAX);
    return rc;
}

/* Waits until the word may have changed, or its runner has died. */
static int wait_shared(weft_once *once, uint32_t word, uint32_t epoch)
{
    if (in_the_middle_of(once))
        return -EDEADLK;
    uint32_t waited = (word & ~(uint32_t)STATE) | WAITED;
    if (word != waited && !cas_relaxed(&once->word, &word, waited))
        return 0; /* relaxed: publishes nothing; the sleep looks at the word again */
    struct park_node node = park_shared_node(&once->word, waited, epoch);
    int rc = park_wait(&node, 1, WEFT_FOREVER, PARK_FOR_ONCE);
    return rc == -EAGAIN || rc >= 0 ? 0 : rc;
}

static int once_run_shared(weft_once *once, int (*fn)(void *ctx), void *ctx)
{
    for (;;) {
        uint32_t epoch = death_epoch();            /* before the look at the runner */
        uint32_t word = load_acquire(&once->word); /* pairs with the release in run_shared() */
        if (word == DONE)
            return 0;
        if (word == FRESH || participant_is_dead(word >> PARTICIPANT_SHIFT)) {
            /* acquire: as above, or with participant_bury() */
            if (cas_acquire(&once->word, &word, participant_self << PARTICIPANT_SHIFT | RUNNING))
                return run_shared(once, fn, ctx);
            continue;
        }
        int rc = wait_shared(once, word, epoch);
        if (rc < 0)
            return rc;
    }
}

int weft_once_run(weft_once *once, int (*fn)(void *ctx), void *ctx)
{
    if (is_shared(once))
        return once_run_shared(once, fn, ctx);
    for (;;) {
        uint32_t word = load_acquire(&once->word); /* pairs with the release in run() */
        if (word == DONE)
            return 0;
        if (word == FRESH) {
            /* acquire: pairs with the release in run(), of one that failed */
            if (cas_acquire(&once->word, &word, RUNNING))
                return run(once, fn, ctx);
            continue;
        }
        int rc = wait_while_running(once, word);
        if (rc < 0)
            return rc;
    }
}
