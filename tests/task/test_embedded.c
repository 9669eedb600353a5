/* SPDX-License-Identifier: MIT */
/* Tasks inside somebody else's event loop: this file is one, of which only poll() is left. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <weft/event.h>
#include <weft/fd.h>
#include <weft/group.h>
#include <weft/queue.h>
#include <weft/run.h>
#include <weft/self.h>

#include "harness.h"

static weft_event go = WEFT_EVENT_INIT;
static atomic_int ran;

static int count(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&ran, 1);
    return 0;
}

static int wait_and_count(weft_call *call)
{
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
    return count(call);
}

static weft_group *open_group(void)
{
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    return group;
}

/* The loop: calls back until so many calls have run. */
static void loop_until(int fd, int n)
{
    struct pollfd readable = { fd, POLLIN, 0 };
    while (atomic_load(&ran) < n) {
        EXPECT_EQ(poll(&readable, 1, -1), 1);
        int rc = weft_run_once(WEFT_NOW);
        EXPECT_TRUE(rc > 0 || rc == -ETIMEDOUT);
    }
}

/* Calls back while there is something to do. */
static void settle(int fd)
{
    struct pollfd readable = { fd, POLLIN, 0 };
    while (poll(&readable, 1, 0) == 1)
        (void)!weft_run_once(WEFT_NOW);
}

static int open_loop(void)
{
    DESCRIPTORS_MAY_STAY();
    int fd = weft_run_fd();
    EXPECT_GE(fd, 0);
    return fd;
}

TEST(the_descriptor_tells_of_a_task_that_the_loop_starts_first)
{
    int fd = open_loop();
    weft_group *group = open_group();
    EXPECT_EQ(weft_group_start(group, count, NULL, 0), 0);
    loop_until(fd, 1);
    weft_group_close(group);
}

TEST(the_descriptor_tells_of_a_task_that_the_loop_starts_later)
{
    int fd = open_loop();
    weft_group *group = open_group();
    (void)!weft_run_once(WEFT_NOW);
    settle(fd);
    EXPECT_EQ(weft_group_start(group, count, NULL, 0), 0);
    loop_until(fd, 1);
    weft_group_close(group);
}

TEST(the_descriptor_tells_of_a_task_that_the_loop_wakes)
{
    int fd = open_loop();
    weft_group *group = open_group();
    EXPECT_EQ(weft_group_start(group, wait_and_count, NULL, 0), 0);
    settle(fd);
    weft_event_set(&go);
    loop_until(fd, 1);
    weft_group_close(group);
}

static void *wake_it(void *arg)
{
    (void)arg;
    weft_event_set(&go);
    return NULL;
}

TEST(the_descriptor_tells_of_a_task_that_a_thread_wakes)
{
    int fd = open_loop();
    pthread_t thread;
    weft_group *group = open_group();
    EXPECT_EQ(weft_group_start(group, wait_and_count, NULL, 0), 0);
    settle(fd);
    EXPECT_EQ(pthread_create(&thread, NULL, wake_it, NULL), 0);
    loop_until(fd, 1);
    pthread_join(thread, NULL);
    weft_group_close(group);
}

static int sleep_and_count(weft_call *call)
{
    EXPECT_EQ(weft_sleep_until(weft_after(WEFT_MS)), 0);
    return count(call);
}

TEST(the_descriptor_tells_of_a_task_whose_time_has_come)
{
    int fd = open_loop();
    weft_group *group = open_group();
    EXPECT_EQ(weft_group_start(group, sleep_and_count, NULL, 0), 0);
    loop_until(fd, 1);
    weft_group_close(group);
}

static int ends[2];

static int read_and_count(weft_call *call)
{
    char byte;
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, WEFT_FOREVER), POLLIN);
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    return count(call);
}

TEST(the_descriptor_tells_of_a_task_whose_input_has_come)
{
    int fd = open_loop();
    EXPECT_EQ(pipe(ends), 0);
    weft_group *group = open_group();
    for (int i = 1; i <= 3; i++) {
        EXPECT_EQ(weft_group_start(group, read_and_count, NULL, 0), 0);
        settle(fd);
        EXPECT_EQ(write(ends[1], "x", 1), 1);
        loop_until(fd, i);
    }
    weft_group_close(group);
}

static void post_it(int signo)
{
    (void)signo;
    weft_event_post(&go);
}

TEST(the_descriptor_tells_of_a_task_that_a_signal_handler_wakes)
{
    int fd = open_loop();
    weft_group *group = open_group();
    EXPECT_EQ(weft_group_start(group, wait_and_count, NULL, 0), 0);
    settle(fd);
    signal(SIGUSR1, post_it);
    EXPECT_EQ(raise(SIGUSR1), 0);
    loop_until(fd, 1);
    weft_group_close(group);
}

static int start_from_outside(weft_call *call)
{
    (void)call;
    return 0;
}

static weft_group *group_of_thread;

static void *start_one(void *arg)
{
    (void)arg;
    EXPECT_EQ(weft_group_start(group_of_thread, start_from_outside, NULL, 0), 0);
    return NULL;
}

/* Whether the thread starts its task before the loop sleeps or after is up to chance. */
TEST(a_task_from_another_thread_ends_the_loops_wait)
{
    DESCRIPTORS_MAY_STAY();
    EXPECT_EQ(weft_run_once(WEFT_NOW), -ETIMEDOUT);
    group_of_thread = open_group();
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        EXPECT_EQ(pthread_create(&thread, NULL, start_one, NULL), 0);
        EXPECT_EQ(weft_run_once(WEFT_FOREVER), 1);
        pthread_join(thread, NULL);
    }
    weft_group_close(group_of_thread);
}

TEST(each_turn_of_a_task_is_counted_once)
{
    DESCRIPTORS_MAY_STAY();
    EXPECT_EQ(weft_run_once(WEFT_NOW), -ETIMEDOUT);
    weft_group *group = open_group();
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(weft_group_start(group, count, NULL, 0), 0);
    EXPECT_EQ(weft_run_once(WEFT_NOW), 100);
    EXPECT_EQ(weft_run_once(WEFT_NOW), -ETIMEDOUT);
    weft_group_close(group);
}

static void *run_elsewhere(void *arg)
{
    (void)arg;
    EXPECT_EQ(weft_run_once(WEFT_NOW), -EBUSY);
    EXPECT_EQ(weft_run_fd(), -EBUSY);
    return NULL;
}

static int run_inside(weft_call *call)
{
    EXPECT_EQ(weft_run_once(WEFT_NOW), -EINVAL);
    EXPECT_EQ(weft_run_fd(), -EINVAL);
    return count(call);
}

TEST(only_the_thread_that_asked_first_runs_tasks_and_not_inside_one)
{
    int fd = open_loop();
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, run_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    weft_group *group = open_group();
    EXPECT_EQ(weft_group_start(group, run_inside, NULL, 0), 0);
    loop_until(fd, 1);
    weft_group_close(group);
}
