/* SPDX-License-Identifier: MIT */
/* What the tests of this room share: so many workers, and a group of tasks. */
#ifndef TASKS_H
#define TASKS_H

#include <stdlib.h>

#include <weft/event.h>
#include <weft/group.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"
#include "workers.h"

/* Makes all the workers there are to be. Their descriptors stay. */
static inline void workers_are(const char *number)
{
    setenv("WEFT_WORKERS", number, 1);
    workers_make_all();
    DESCRIPTORS_COUNT_FROM_HERE();
}

static inline weft_group *tasks_open(void)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, &(weft_options){ .on_failure = WEFT_GO_ON }), 0);
    return g;
}

static inline void tasks_join(weft_group *g)
{
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}

/* Runs one function in n tasks; call->index tells them apart. */
static inline void in_tasks(int n, weft_fn *fn)
{
    weft_group *g = tasks_open();
    for (int i = 0; i < n; i++)
        EXPECT_EQ(weft_group_start(g, fn, NULL, 0), 0);
    tasks_join(g);
}

#endif
