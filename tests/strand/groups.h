/* SPDX-License-Identifier: MIT */
/* What the tests of groups share. */
#ifndef TESTS_STRAND_GROUPS_H
#define TESTS_STRAND_GROUPS_H

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/barrier.h>
#include <weft/event.h>
#include <weft/group.h>
#include <weft/select.h>
#include <weft/self.h>

#include "harness.h"
#include "kinds.h"
#include "strands.h"

static inline int square(weft_call *call)
{
    int n = *(const int *)call->arg;
    n *= n;
    return weft_call_return(call, &n, sizeof n);
}

static inline int sleep_until_cancelled(weft_call *call)
{
    (void)call;
    return weft_sleep_until(WEFT_FOREVER);
}

static inline weft_group *open_group(weft_kind kind, weft_failure on_failure)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, kind, &(weft_options){ .on_failure = on_failure }), 0);
    return g;
}

static inline weft_future *submit(weft_group *g, weft_fn *fn, int arg)
{
    weft_future *f;
    EXPECT_EQ(weft_group_submit(g, fn, &arg, sizeof arg, &f, WEFT_FOREVER), 0);
    return f;
}

#endif
