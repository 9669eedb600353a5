/* SPDX-License-Identifier: MIT */
/* Waiting on descriptors: what it finds, how it ends, and with no descriptor left to be woken by.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weft/fd.h>
#include <weft/group.h>
#include <weft/self.h>

#include "harness.h"

static int ends[2]; /* of a pipe */

static void open_pipe(void)
{
    EXPECT_EQ(pipe(ends), 0);
}

static void close_pipe(void)
{
    close(ends[0]);
    close(ends[1]);
}

TEST(it_finds_what_poll_finds)
{
    open_pipe();
    EXPECT_EQ(weft_fd_wait(ends[1], POLLOUT, WEFT_NOW), POLLOUT);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, WEFT_FOREVER), POLLIN);
    close(ends[1]);
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, WEFT_FOREVER), POLLIN | POLLHUP);
    close(ends[0]);
}

TEST(it_ends_at_its_deadline)
{
    open_pipe();
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, (weft_deadline){ -1 }), -ETIMEDOUT);
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, weft_after(WEFT_MS)), -ETIMEDOUT);
    close_pipe();
}

TEST(what_is_no_descriptor_is_told)
{
    open_pipe();
    close_pipe();
    EXPECT_EQ(weft_fd_wait(-1, POLLIN, WEFT_FOREVER), -EBADF);
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, WEFT_FOREVER), -EBADF);
}

static atomic_bool waiting;

static int wait_for_ever(weft_call *call)
{
    (void)call;
    atomic_store(&waiting, true);
    return weft_fd_wait(ends[0], POLLIN, WEFT_FOREVER);
}

/* No descriptor can be opened from here on. */
static void use_up_descriptors(void)
{
    struct rlimit limit;
    int lowest = dup(0); /* the lowest that is free; all above are, too, or do not matter */
    close(lowest);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)lowest;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(dup(0), -1);
}

TEST(without_descriptors_it_waits_and_is_cancelled_all_the_same)
{
    weft_group *group;
    weft_future *future;
    open_pipe();
    use_up_descriptors();
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_group_open(&group, WEFT_THREADS, NULL), 0);
    EXPECT_EQ(weft_group_submit(group, wait_for_ever, NULL, 0, &future, WEFT_FOREVER), 0);
    while (!atomic_load(&waiting))
        (void)weft_yield();
    weft_future_cancel(future);
    EXPECT_EQ(weft_future_wait(future, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(future)->how, WEFT_CANCELLED);
    weft_future_close(future);
    weft_group_close(group);
    close_pipe();
}
