/* SPDX-License-Identifier: MIT */
/*
 * Workers are made one after the other, as work for them turns up: so this makes as many tasks as
 * there are to be workers, each of which occupies one until the others do, too.
 */
#include <weft/group.h>

#include "harness.h"
#include "strands.h"
#include "task/share.h"
#include "workers.h"

static int occupy(weft_call *call)
{
    (void)call;
    UNTIL(share_workers() >= share_workers_max());
    return 0;
}

void workers_make_all(void)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    while (share_workers() < share_workers_max())
        EXPECT_EQ(weft_group_start(g, occupy, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}
