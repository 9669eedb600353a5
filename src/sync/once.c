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
 */
#include <errno.h>

#include <weft/once.h>

#include "park/park.h"

enum { FRESH, DONE, RUNNING, WAITED };

struct once_run {
    struct once_run *outer;
    const weft_once *once;
};

static bool in_the_middle_of(const weft_once *once)
{
    for (struct once_run *run = strand_self()->onces; run; run = run->outer)
        if (run->once == once)
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

static int run(weft_once *once, int (*fn)(void *ctx), void *ctx)
{
    struct strand *self = strand_self();
    struct once_run frame = { .outer = self->onces, .once = once };
    self->onces = &frame;
    int rc = fn(ctx);
    self->onces = frame.outer;
    rc = rc < 0 ? rc : 0;
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
    int rc = park_wait(&node, 1, WEFT_FOREVER, 0);
    return rc == -EAGAIN || rc >= 0 ? 0 : rc;
}

int weft_once_run(weft_once *once, int (*fn)(void *ctx), void *ctx)
{
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
