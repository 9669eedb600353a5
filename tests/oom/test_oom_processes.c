/* SPDX-License-Identifier: MIT */
/* The same for what options say about processes, descriptors between them, and names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/fd.h>
#include <weft/group.h>
#include <weft/program.h>

#include "base/sanitizer.h"
#include "harness.h"
#include "refuse.h"

static int look_up(weft_call *call)
{
    const char *value = getenv("NAME");
    return value ? weft_call_return(call, value, strlen(value) + 1) : -ENOENT;
}

/* A call in a process with surroundings of its own. */
static int use_surroundings(weft_start start)
{
    weft_group *group;
    weft_future *f;
    weft_options options = {
        .start = start,
        .environment = (const char *const[]){ "NAME=value", "MORE=", NULL },
        .directory = "/",
        .cpus = "0-8191",
        .niceness = 1,
        .memory_bytes_max = (uint64_t)1 << 30,
    };
    int rc = weft_group_open(&group, WEFT_PROCESSES, &options);
    if (rc < 0)
        return rc;
    rc = weft_group_submit(group, look_up, NULL, 0, &f, WEFT_FOREVER);
    if (rc == 0) {
        rc = weft_future_wait(f, WEFT_FOREVER);
        if (rc == 0)
            EXPECT_STR(weft_future_result(f, NULL), "value");
        else
            rc = weft_future_outcome(f)->status;
        weft_future_close(f);
    }
    weft_group_close(group);
    return rc;
}

static int use_zygote(weft_kind kind)
{
    (void)kind;
    return use_surroundings(WEFT_START_ZYGOTE);
}

static int use_snapshot(weft_kind kind)
{
    (void)kind;
    return use_surroundings(WEFT_START_FORK);
}

static int use_ticket(weft_kind kind)
{
    uint64_t ticket;
    int fd, rc = weft_fd_pass(0, &ticket);
    (void)kind;
    if (rc == 0)
        rc = weft_fd_take(ticket, &fd);
    if (rc == 0)
        close(fd);
    return rc;
}

static void begin(void)
{
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_init(), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
}

TEST(a_process_with_surroundings_without_memory)
{
    begin();
    EXPECT_GT(refuse_each(use_zygote, WEFT_PROCESSES, MEMORY, -ENOMEM), 8);
}

/* The snapshot and its processes are refused what the program would have been. */
TEST(a_fork_without_memory)
{
    if (HARNESS_EMULATED || THREAD_SANITIZER)
        SKIP("threads that are not the program's look like it");
    begin();
    EXPECT_GT(refuse_each(use_snapshot, WEFT_PROCESSES, MEMORY, -ENOMEM), 10);
}

TEST(a_ticket_needs_no_memory)
{
    begin();
    EXPECT_EQ(refuse_each(use_ticket, WEFT_PROCESSES, MEMORY, -ENOMEM), 0);
}

static void free_worker(void *worker)
{
    (void)worker;
}

static int enter(weft_call *call, void **ret_worker)
{
    (void)call;
    *ret_worker = NULL;
    return 0;
}

TEST(a_name_without_memory_is_not_given)
{
    static const long nths[] = { 1, 1, 2 }; /* the table, once; one name, the other */
    for (int i = 0; i < 3; i++) {
        refuse_nth(MEMORY, nths[i]);
        EXPECT_EQ(weft_register_worker("pair", enter, free_worker), -ENOMEM);
        EXPECT_EQ(refused_since(), 1);
        EXPECT_EQ(weft_register("call", look_up), i == 0 ? 0 : -EEXIST);
    }
    EXPECT_EQ(weft_register_worker("pair", enter, free_worker), 0);
    EXPECT_EQ(weft_register_worker("pair", NULL, free_worker), -EEXIST);
}

TEST(weft_init_without_memory_may_be_called_again)
{
    NEEDS_PROCESSES();
    long nth = 0;
    int rc;
    do {
        refuse_nth(MEMORY, ++nth);
        rc = weft_init();
        EXPECT_TRUE(rc == 0 || rc == -ENOMEM);
    } while (rc < 0);
    DESCRIPTORS_COUNT_FROM_HERE();
    EXPECT_EQ(refused_since(), 0);
    EXPECT_GT(nth, 1);
}
