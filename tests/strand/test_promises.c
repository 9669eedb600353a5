/* SPDX-License-Identifier: MIT */
/* Options that a group could not keep are refused, not dropped. */
#include <errno.h>

#include <weft.h>

#include "harness.h"

static void expect_refused(const weft_options *options, int error)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_PROCESSES, options), error);
}

TEST(a_group_does_not_promise_to_try_again)
{
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_init(), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
    expect_refused(&(weft_options){ .attempts_max = 2 }, -ENOTSUP);
}

TEST(a_group_on_a_pool_does_not_promise_what_the_pool_does_not_know)
{
    weft_pool *pool;
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_init(), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &(weft_options){ .workers = 1 }), 0);
    expect_refused(&(weft_options){ .pool = pool, .call_timeout_ns = WEFT_S }, -ENOTSUP);
    expect_refused(&(weft_options){ .pool = pool, .attempts_max = 2 }, -ENOTSUP);
    expect_refused(&(weft_options){ .pool = pool, .context = "x", .context_bytes = 1 }, -EINVAL);
    weft_pool_close(pool);
}
