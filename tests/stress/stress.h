/* SPDX-License-Identifier: MIT */
/*
 * Chance and time for the stress tests. WEFT_SEED repeats a run's choices (not the scheduler's);
 * the seed is printed at the start, so that it stands in the log of a failure. WEFT_STRESS_MS is
 * how long each test works, roughly.
 */
#ifndef STRESS_H
#define STRESS_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/call.h>
#include <weft/time.h>

#include "harness.h"
#include "strands.h"

struct dice {
    uint64_t state;
};

/* xorshift64*, Vigna 2016. */
static inline uint64_t dice_roll(struct dice *dice)
{
    dice->state ^= dice->state >> 12;
    dice->state ^= dice->state << 25;
    dice->state ^= dice->state >> 27;
    return dice->state * UINT64_C(0x2545F4914F6CDD1D);
}

static inline uint64_t dice_below(struct dice *dice, uint64_t n)
{
    return (dice_roll(dice) >> 33) % n;
}

/* Mostly soon, at times past, at times never. */
static inline weft_deadline dice_deadline(struct dice *dice)
{
    switch (dice_below(dice, 8)) {
    case 0:
        return WEFT_NOW;
    case 1:
        return weft_after((int64_t)dice_below(dice, 1000));
    case 2:
        return weft_after((int64_t)dice_below(dice, 2000 * WEFT_US));
    default:
        return weft_after((int64_t)dice_below(dice, 100 * WEFT_US));
    }
}

static inline uint64_t stress_seed(void)
{
    const char *given = getenv("WEFT_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)weft_now();
    printf("WEFT_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    return seed;
}

static inline struct dice dice_of(uint64_t seed, uint64_t strand)
{
    struct dice dice = { (seed + strand + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1 };
    (void)dice_roll(&dice);
    return dice;
}

/* The kind of group that WEFT_TEST_STRANDS names: tasks, or threads. */
static inline weft_kind stress_kind(void)
{
    const char *said = getenv("WEFT_TEST_STRANDS");
    return said && strcmp(said, "threads") != 0 ? WEFT_TASKS : WEFT_THREADS;
}

static inline weft_deadline stress_end(void)
{
    const char *ms = getenv("WEFT_STRESS_MS");
    return weft_after((ms ? atoll(ms) : 1000) * WEFT_MS);
}

#endif
