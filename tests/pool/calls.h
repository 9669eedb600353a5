/* SPDX-License-Identifier: MIT */
/* What the tests of pools share: calls that square a number, and what has come of a call. */
#ifndef TESTS_POOL_CALLS_H
#define TESTS_POOL_CALLS_H

#include <errno.h>

#include <weft/pool.h>

#include "harness.h"

static inline int square(weft_call *call)
{
    int n = *(const int *)call->arg;
    n *= n;
    return weft_call_return(call, &n, sizeof n);
}

static inline weft_future *submit(weft_pool *pool, weft_fn *fn, int n)
{
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, fn, &n, sizeof n, &f, WEFT_FOREVER), 0);
    return f;
}

/* Waits for a call that gives n squared, at its first attempt. */
static inline void expect_square(weft_future *f, int n)
{
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_EQ(*(const int *)weft_future_result(f, NULL), n * n);
    EXPECT_EQ(weft_future_outcome(f)->attempts, 1);
    weft_future_close(f);
}

static inline void expect_cancelled(weft_future *f)
{
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_CANCELLED);
    EXPECT_EQ(weft_future_outcome(f)->status, -ECANCELED);
    weft_future_close(f);
}

/* Maps fn, which squares, over the first n numbers. */
static inline void map_squares(weft_pool *pool, weft_fn *fn, size_t n)
{
    int in[200], out[200];
    weft_map map = {
        .in = in, .count = n, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
    };
    EXPECT_LE(n, 200);
    for (int i = 0; i < 200; i++)
        in[i] = i;
    EXPECT_EQ(weft_pool_map(pool, fn, &map, WEFT_FOREVER), 0);
    for (size_t i = 0; i < n; i++)
        EXPECT_EQ(out[i], i * i);
}

#endif
