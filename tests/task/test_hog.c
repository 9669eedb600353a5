/* SPDX-License-Identifier: MIT */
/*
 * A task that keeps its worker is named, if WEFT_HOGS asks for it. This file has its own hog.c, to
 * look when it likes.
 */
#include "../../src/task/hog.c" /* NOLINT(bugprone-suspicious-include): see above */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tasks.h"

/* ---- looking */

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static struct worker played;
static struct watched watched = { .worker = &played };

static void begin_looking(void)
{
    signo = SIGUSR1;
    EXPECT_NE(signal(signo, count_signal), SIG_ERR);
    watched.thread = pthread_self();
    played.rounds = 1;
    played.turns = 60;
}

TEST(a_worker_that_stays_at_a_turn_is_asked_once)
{
    begin_looking();
    look(&watched);
    EXPECT_EQ(signals, 0);
    look(&watched);
    EXPECT_EQ(signals, 1);
    EXPECT_EQ(watched.asked, turn_of(&played));
    look(&watched);
    EXPECT_EQ(signals, 1);
    played.turns--;
    look(&watched);
    EXPECT_EQ(signals, 1);
    look(&watched);
    EXPECT_EQ(signals, 2);
}

TEST(a_worker_that_goes_on_is_not_asked)
{
    begin_looking();
    for (unsigned i = 0; i < 30; i++) {
        look(&watched);
        played.turns--;
    }
    for (unsigned i = 0; i < 30; i++) {
        look(&watched);
        played.rounds++; /* to turns of the same number */
    }
    EXPECT_EQ(signals, 0);
}

TEST(a_worker_that_sleeps_is_not_asked)
{
    begin_looking();
    played.asleep = WORKER_ASLEEP;
    for (unsigned i = 0; i < 30; i++)
        look(&watched);
    EXPECT_EQ(signals, 0);
}

/* ---- being named */

static int said = -1; /* what comes out of standard error */
static char text[4096];

static void hear_standard_error(void)
{
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_NONBLOCK), 0);
    said = fds[0];
    EXPECT_EQ(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    close(fds[1]);
    DESCRIPTORS_MAY_STAY();
}

/* Keeps its worker until somebody says so. */
static int hog(weft_call *call)
{
    (void)call;
    size_t n = strlen(text);
    const char *since = text + n;
    for (unsigned reads = 1; !strchr(since, '\n'); reads++) {
        ssize_t got = read(said, text + n, sizeof text - 1 - n);
        if (got > 0)
            n += (size_t)got;
        else if (HARNESS_SANITIZED && reads % 100000 == 0)
            EXPECT_EQ(weft_yield(), 0); /* ThreadSanitizer may forget the signal: one turn more */
    }
    return 0;
}

static int hog_twice(weft_call *call)
{
    (void)hog(call);
    weft_self_set_name("the greedy one");
    EXPECT_EQ(weft_yield(), 0);
    return hog(call);
}

static void run_in_group(weft_fn *fn)
{
    weft_group *g;
    hear_standard_error();
    EXPECT_EQ(setenv("WEFT_HOGS", "1", 1), 0);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, &(weft_options){ .name = "greedy" }), 0);
    EXPECT_EQ(weft_group_start(g, fn, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}

TEST(a_task_that_keeps_its_worker_is_named)
{
    run_in_group(hog);
    EXPECT_HAS(text, "weft: the task greedy-0 has kept its worker for more than 1 ms");
}

TEST(a_task_that_keeps_its_worker_again_is_named_again)
{
    run_in_group(hog_twice);
    EXPECT_HAS(text, "the task greedy-0 has kept its worker");
    EXPECT_HAS(text, "the task the greedy one has kept its worker");
}

TEST(nonsense_about_hogs_is_refused_and_does_no_harm)
{
    static const char *const nonsense[] = { "", "0", "-1", "x", "3x", "60001" };
    weft_group *g;
    DESCRIPTORS_MAY_STAY();
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        EXPECT_EQ(setenv("WEFT_HOGS", nonsense[i], 1), 0);
        EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), -EINVAL);
    }
    EXPECT_EQ(unsetenv("WEFT_HOGS"), 0);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    weft_group_close(g);
}
