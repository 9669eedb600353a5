/* SPDX-License-Identifier: MIT */
/*
 * Tests that end in every way a test can, for tests/house/test_harness.py: it runs this program and
 * expects of each test the verdict that its name begins with.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

TEST(ok_values_compare_as_in_arithmetic)
{
    EXPECT_LT(-1, 1u);
    EXPECT_LT(INT64_MIN, UINT64_MAX);
    EXPECT_EQ((uint8_t)3, (size_t)3);
    EXPECT_NE(-1, UINT64_MAX);
    EXPECT_GT(UINT64_MAX, INT64_MAX);
    EXPECT_LE(-2, -1);
    EXPECT_GE(1.5, 1);
    EXPECT_EQ(NULL, (char *)NULL);
    EXPECT_STR("same", "same");
    EXPECT_HAS("a needle here", "needle");
    EXPECT_MEM("abc", "abd", 2);
}

TEST(failed_equality)
{
    EXPECT_EQ(-ETIMEDOUT, 0);
}

TEST(failed_unsigned_wrap)
{
    EXPECT_EQ(-1, UINT64_MAX);
}

TEST(failed_strings)
{
    EXPECT_STR("a", NULL);
}

TEST(failed_memory)
{
    EXPECT_MEM("abc", "abd", 3);
}

TEST(failed_descriptor_left_open)
{
    EXPECT_GE(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}

TEST(failed_descriptor_closed)
{
    close(STDIN_FILENO);
}

TEST(ok_descriptor_stays_on_purpose)
{
    DESCRIPTORS_MAY_STAY();
    EXPECT_GE(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}

TEST(ok_descriptor_of_the_process)
{
    EXPECT_GE(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
}

TEST(failed_exit_with_success)
{
    exit(EXIT_SUCCESS);
}

TEST(failed_exit_with_a_status)
{
    _exit(3);
}

TEST(failed_killed)
{
    raise(SIGKILL);
}

TEST(skip_says_why)
{
    SKIP("this kernel has no %s", "wheels");
}

static void *fail_here(void *unused)
{
    EXPECT_EQ(1, 2);
    return unused;
}

TEST(failed_in_another_thread)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, fail_here, NULL), 0);
    pthread_join(thread, NULL);
}

TEST(ok_another_process_aborts)
{
    pid_t child = fork();
    if (child == 0)
        fail_here(NULL);
    int status;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WTERMSIG(status), SIGABRT);
}

/* The two processes would live for ever; test_harness.py looks for them by their pipe. */
TEST(ok_strays_are_killed)
{
    DESCRIPTORS_MAY_STAY();
    if (fork() == 0) {
        setsid();
        fork();
        for (;;)
            pause();
    }
}

/* An orphan's end can be seen while the test runs: somebody reaps it. */
TEST(ok_orphans_are_reaped)
{
    int pipe_fds[2];
    pid_t orphan = 0;
    EXPECT_EQ(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        orphan = fork();
        if (orphan > 0)
            _exit(write(pipe_fds[1], &orphan, sizeof orphan) < 0);
        _exit(0);
    }
    EXPECT_EQ(waitpid(child, NULL, 0), child);
    EXPECT_EQ(read(pipe_fds[0], &orphan, sizeof orphan), (ssize_t)sizeof orphan);
    while (kill(orphan, 0) == 0)
        sched_yield();
    EXPECT_EQ(errno, ESRCH);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* Three tests that hang, if they are asked to; CK_TIMEOUT_MULTIPLIER makes their time short. */
static void hang(void)
{
    if (!getenv("SAMPLE_HANGS"))
        SKIP("nobody wants it to hang");
    for (;;)
        pause();
}

TEST(skip_or_hang_first)
{
    hang();
}

TEST(skip_or_hang_second)
{
    hang();
}

TEST(skip_or_hang_third)
{
    hang();
}
