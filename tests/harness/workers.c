/* SPDX-License-Identifier: MIT */
/*
 * Workers are made one after the other, as work for them turns up: so this makes as many tasks as
 * there are to be workers, each of which occupies one until the others do, too.
 */
#include <weft/group.h>

#include "base/cpus.h"
#include "harness.h"
#include "strands.h"
#include "task/share.h"
#include "workers.h"

#include <stdlib.h>

static unsigned wanted(void)
{
    const char *said = getenv("WEFT_WORKERS");
    return said ? (unsigned)atoi(said) : base_cpus();
}

static int occupy(weft_call *call)
{
    (void)call;
    UNTIL(share_workers() >= wanted());
    return 0;
}

void workers_make_all(void)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    while (share_workers() < wanted())
        EXPECT_EQ(weft_group_start(g, occupy, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}
