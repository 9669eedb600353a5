/* SPDX-License-Identifier: MIT */
/* What the tests of pools of kind auto share: what such a pool says, and calls that compute. */
#ifndef TESTS_POOL_AUTO_H
#define TESTS_POOL_AUTO_H

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <weft/pool.h>

#include "harness.h"

static char line[200];

static inline const char *explain(weft_pool *pool)
{
    int n = weft_pool_explain(pool, line, sizeof line);
    EXPECT_EQ(n, (int)strlen(line));
    return line;
}

static inline bool says(weft_pool *pool, const char *words)
{
    return strstr(explain(pool), words) != NULL;
}

/* The number in front of a noun. */
static inline unsigned number_of(weft_pool *pool, const char *noun)
{
    unsigned n = 0;
    char rest[20] = "";
    const char *workers = strstr(explain(pool), "; ");
    EXPECT_TRUE(workers);
    EXPECT_EQ(sscanf(workers, "; %u %19s", &n, rest), 2);
    return strncmp(rest, noun, strlen(noun)) == 0 ? n : 0;
}

static inline weft_pool *open_auto(weft_options options)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_AUTO, &options), 0);
    return pool;
}

static inline int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * WEFT_S + now.tv_nsec;
}

static inline void burn(int64_t ns)
{
    for (int64_t end = cpu_ns() + ns; cpu_ns() < end;) {
    }
}

static inline void submit_all(weft_pool *pool, weft_fn *fn, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        EXPECT_EQ(weft_pool_submit(pool, fn, NULL, 0, NULL, WEFT_FOREVER), 0);
}

#endif
