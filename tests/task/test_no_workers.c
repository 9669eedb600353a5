/* SPDX-License-Identifier: MIT */
/* A system that has no room for a worker: those who want one are told, and nothing is left over. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>
#define HAS_MALLINFO __GLIBC_PREREQ(2, 33)
#else
#define HAS_MALLINFO 0
#endif

#include <weft/group.h>
#include <weft/run.h>

#include "harness.h"
#include "io/fault.h"
#include "strands.h"
#include "task/share.h"
#include "workers.h"

static atomic_bool full;
static atomic_uint refusals;

static int refuse(enum io_fault_point point, struct io_op *op)
{
    (void)op;
    if (!full || point != FAULT_OPEN)
        return 0;
    refusals++;
    return -EMFILE;
}

static int nothing(weft_call *call)
{
    (void)call;
    return 0;
}

static void run_one(void)
{
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    EXPECT_EQ(weft_group_start(group, nothing, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
}

/* Bytes of the heap that are in use; 0 where nobody knows. */
static size_t used(void)
{
#if HAS_MALLINFO && !HARNESS_SANITIZED /* a sanitizer counts in its own way */
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

TEST(a_worker_that_could_not_be_made_leaves_nothing)
{
    weft_group *group;
    size_t before = 0;
    io_fault = refuse;
    full = true;
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), -EMFILE);
        if (i == 10)
            before = used();
    }
    EXPECT_LT(used(), before + (1 << 20));
    full = false;
    DESCRIPTORS_MAY_STAY();
    run_one();
}

TEST(a_loop_that_could_not_run_tasks_leaves_them_to_workers)
{
    io_fault = refuse;
    full = true;
    EXPECT_EQ(weft_run_fd(), -EMFILE);
    EXPECT_EQ(weft_run_once(WEFT_NOW), -EMFILE);
    full = false;
    DESCRIPTORS_MAY_STAY();
    run_one();
    EXPECT_EQ(weft_run_fd(), -EBUSY);
}

static atomic_bool go;

static int compute_until_go(weft_call *call)
{
    (void)call;
    UNTIL(go);
    return 0;
}

TEST(a_worker_that_could_not_be_made_is_made_later)
{
    weft_group *group;
    EXPECT_EQ(setenv("WEFT_WORKERS", "2", 1), 0);
    io_fault = refuse;
    DESCRIPTORS_MAY_STAY();
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    full = true;
    while (!refusals)
        EXPECT_EQ(weft_group_start(group, compute_until_go, NULL, 0), 0);
    EXPECT_EQ(share_workers(), 1);
    full = false;
    go = true;
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    workers_make_all(); /* returns when there are two */
    EXPECT_EQ(share_workers(), 2);
}
