/* SPDX-License-Identifier: MIT */
/*
 * Tasks inside a foreign loop: they run when weft_run_once() is called and at no other time, and
 * the descriptor says when that is worth while. The loop here is poll(), without a time limit: what
 * the descriptor does not tell of hangs, and the harness ends the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/event.h>
#include <weft/fd.h>
#include <weft/group.h>
#include <weft/run.h>
#include <weft/self.h>

#include "harness.h"
#include "io/fault.h"
#include "strands.h"
#include "workers.h"

static int loop_fd;
static bool inside;
static pthread_t loop_thread;
static atomic_int begun, ended;
static weft_event event = WEFT_EVENT_INIT;
static weft_group *group;

/* WEFT_TEST_LINUX=510 lets the back ends use only what Linux 5.10 has. */
static int old_kernel(enum io_fault_point point, struct io_op *op)
{
    (void)op;
    const char *version = getenv("WEFT_TEST_LINUX");
    return point == FAULT_OPEN && version ? atoi(version) : 0;
}

/* This thread runs the tasks from now on. Its descriptors stay. */
static void embed(void)
{
    io_fault = old_kernel;
    loop_thread = pthread_self();
    loop_fd = weft_run_fd();
    if (loop_fd == -ENOSYS || loop_fd == -EPERM)
        SKIP("this system does not allow %s", getenv("WEFT_IO"));
    EXPECT_GE(loop_fd, 0);
    DESCRIPTORS_COUNT_FROM_HERE();
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
}

static int run_now(void)
{
    inside = true;
    int rc = weft_run_once(WEFT_NOW);
    inside = false;
    return rc;
}

static bool readable(void)
{
    return poll(&(struct pollfd){ .fd = loop_fd, .events = POLLIN }, 1, 0) == 1;
}

static void await_readable(void)
{
    EXPECT_EQ(poll(&(struct pollfd){ .fd = loop_fd, .events = POLLIN }, 1, -1), 1);
}

/* Runs until nothing can run: the descriptor may be readable for nothing, but not for ever. */
static void settle(void)
{
    while (readable())
        (void)!run_now();
}

/* The foreign loop, until so many tasks have come so far. */
static void loop_until(atomic_int *count, int n)
{
    while (atomic_load(count) < n) {
        await_readable();
        (void)!run_now();
    }
}

static void finish(void)
{
    settle();
    weft_group_close(group);
}

static void start(weft_fn *fn)
{
    EXPECT_EQ(weft_group_start(group, fn, NULL, 0), 0);
}

static void *start_one(void *fn)
{
    start(*(weft_fn **)fn);
    return NULL;
}

static void *set_event(void *ctx)
{
    (void)ctx;
    weft_event_set(&event);
    return NULL;
}

/* Calls fn in another thread, to its end. */
static void in_another_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, fn, arg), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
}

static void expect_inside(void)
{
    EXPECT_TRUE(inside);
    EXPECT_TRUE(pthread_equal(pthread_self(), loop_thread));
}

static int end_at_once(weft_call *call)
{
    (void)call;
    expect_inside();
    atomic_fetch_add(&ended, 1);
    return 0;
}

static int wait_for_event(weft_call *call)
{
    expect_inside();
    atomic_fetch_add(&begun, 1);
    EXPECT_EQ(weft_event_wait(&event, WEFT_FOREVER), 0);
    return end_at_once(call);
}

/* ---- where tasks run */

static int yield_often(weft_call *call)
{
    for (int i = 0; i < 100; i++) {
        expect_inside();
        EXPECT_EQ(weft_yield(), 0);
    }
    return end_at_once(call);
}

TEST(tasks_run_inside_run_once_and_nowhere_else)
{
    embed();
    for (int i = 0; i < 10; i++)
        start(yield_often);
    EXPECT_EQ(atomic_load(&ended), 0);
    loop_until(&ended, 10);
    finish();
}

TEST(run_once_says_how_often_it_went_on_with_a_task)
{
    embed();
    for (int i = 0; i < 3; i++)
        start(end_at_once);
    EXPECT_EQ(run_now(), 3);
    start(yield_often); /* its start, and after each yield */
    EXPECT_EQ(run_now(), 101);
    EXPECT_EQ(run_now(), -ETIMEDOUT);
    finish();
}

static int yield_until_event(weft_call *call)
{
    while (!weft_event_is_set(&event))
        EXPECT_EQ(weft_yield(), 0);
    return end_at_once(call);
}

TEST(a_task_that_always_goes_on_does_not_keep_the_loop)
{
    embed();
    start(yield_until_event);
    start(yield_until_event);
    for (int i = 0; i < 3; i++) {
        int rc = run_now();
        EXPECT_GT(rc, 1000);
        EXPECT_LT(rc, 10000);
        await_readable();
    }
    weft_event_set(&event);
    loop_until(&ended, 2);
    finish();
}

/* ---- the descriptor */

TEST(without_tasks_it_is_not_readable)
{
    embed();
    settle();
    EXPECT_EQ(run_now(), -ETIMEDOUT);
    EXPECT_FALSE(readable());
    finish();
}

TEST(it_is_readable_for_a_task_put_before_the_first_run)
{
    embed();
    start(end_at_once);
    loop_until(&ended, 1);
    finish();
}

TEST(it_is_readable_for_a_task_put_between_two_runs)
{
    embed();
    settle();
    EXPECT_EQ(run_now(), -ETIMEDOUT);
    for (int i = 1; i <= 10; i++) {
        start(end_at_once);
        loop_until(&ended, i);
        settle();
    }
    finish();
}

TEST(it_is_readable_for_a_task_put_by_another_thread_before_the_first_run)
{
    weft_fn *fn = end_at_once;
    embed();
    in_another_thread(start_one, &fn);
    loop_until(&ended, 1);
    finish();
}

TEST(it_is_readable_for_a_task_put_by_another_thread)
{
    weft_fn *fn = end_at_once;
    embed();
    for (int i = 1; i <= 10; i++) {
        settle();
        in_another_thread(start_one, &fn);
        loop_until(&ended, i);
    }
    finish();
}

/* A task that waits for the event, which nobody has set: nothing can run. */
static void have_a_waiter(void)
{
    start(wait_for_event);
    loop_until(&begun, 1);
    settle();
    EXPECT_EQ(run_now(), -ETIMEDOUT);
    EXPECT_FALSE(readable());
}

TEST(it_is_readable_for_a_wake_up_by_another_thread)
{
    embed();
    have_a_waiter();
    in_another_thread(set_event, NULL);
    loop_until(&ended, 1);
    finish();
}

TEST(it_is_readable_for_a_wake_up_by_the_loop_itself)
{
    embed();
    have_a_waiter();
    weft_event_set(&event);
    loop_until(&ended, 1);
    finish();
}

static int sleep_till_cancelled(weft_call *call)
{
    atomic_fetch_add(&begun, 1);
    EXPECT_EQ(weft_sleep_until(weft_after(3600 * WEFT_S)), -ECANCELED);
    return end_at_once(call);
}

TEST(it_is_readable_for_a_cancellation_but_not_for_a_distant_deadline)
{
    embed();
    start(sleep_till_cancelled);
    loop_until(&begun, 1);
    settle();
    EXPECT_FALSE(readable());
    weft_group_cancel(group);
    loop_until(&ended, 1);
    finish();
}

static int sleep_a_little(weft_call *call)
{
    EXPECT_EQ(weft_sleep_until(weft_after(2 * WEFT_MS)), 0);
    EXPECT_EQ(weft_sleep_until(WEFT_NOW), 0);
    EXPECT_EQ(weft_sleep_until(weft_after(WEFT_MS)), 0);
    return end_at_once(call);
}

TEST(it_is_readable_when_the_earliest_deadline_has_come)
{
    embed();
    for (int i = 0; i < 3; i++)
        start(sleep_a_little);
    loop_until(&ended, 3);
    settle();
    EXPECT_FALSE(readable());
    finish();
}

static int ends[2];

static int read_byte(weft_call *call)
{
    char byte;
    atomic_fetch_add(&begun, 1);
    EXPECT_EQ(weft_fd_wait(ends[0], POLLIN, WEFT_FOREVER), POLLIN);
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    return end_at_once(call);
}

TEST(it_is_readable_when_a_descriptor_is_ready)
{
    embed();
    EXPECT_EQ(pipe(ends), 0);
    for (int i = 1; i <= 3; i++) {
        start(read_byte);
        loop_until(&begun, i);
        settle();
        EXPECT_FALSE(readable());
        EXPECT_EQ(write(ends[1], "x", 1), 1);
        loop_until(&ended, i);
    }
    finish();
    close(ends[0]);
    close(ends[1]);
}

static int block(void *ctx)
{
    (void)ctx;
    EXPECT_FALSE(pthread_equal(pthread_self(), loop_thread));
    return 7;
}

static int call_what_blocks(weft_call *call)
{
    EXPECT_EQ(weft_blocking(block, NULL), 7);
    return end_at_once(call);
}

TEST(it_is_readable_when_a_blocking_call_has_returned)
{
    embed();
    start(call_what_blocks);
    loop_until(&ended, 1);
    finish();
}

static int start_more(weft_call *call)
{
    for (int i = 0; i < 5; i++)
        start(end_at_once);
    return end_at_once(call);
}

TEST(a_task_may_start_others)
{
    embed();
    start(start_more);
    loop_until(&ended, 6);
    finish();
}

/* ---- run_once() that waits by itself */

TEST(run_once_waits_until_its_deadline)
{
    embed();
    EXPECT_EQ(weft_run_once(weft_after(WEFT_MS)), -ETIMEDOUT);
    start(sleep_till_cancelled);
    EXPECT_EQ(run_now(), 1);
    EXPECT_EQ(weft_run_once(weft_after(WEFT_MS)), -ETIMEDOUT);
    weft_group_cancel(group);
    loop_until(&ended, 1);
    finish();
}

TEST(run_once_waits_for_a_task_that_sleeps)
{
    embed();
    start(sleep_a_little);
    inside = true;
    while (atomic_load(&ended) == 0)
        EXPECT_GT(weft_run_once(WEFT_FOREVER), 0);
    inside = false;
    finish();
}

/* Whether a thread of this process sleeps in the kernel. */
static bool sleeps(pid_t tid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT_GE(fd, 0);
    EXPECT_GT(read(fd, text, sizeof text - 1), 0);
    close(fd);
    const char *name_end = strrchr(text, ')');
    EXPECT_TRUE(name_end);
    return strncmp(name_end, ") S", 3) == 0;
}

static void *start_when_it_sleeps(void *tid)
{
    UNTIL(sleeps(*(pid_t *)tid));
    start(end_at_once);
    return NULL;
}

TEST(run_once_returns_for_a_task_put_while_it_sleeps)
{
    pid_t self = gettid();
    embed();
    for (int i = 1; i <= 20; i++) {
        pthread_t thread;
        EXPECT_EQ(pthread_create(&thread, NULL, start_when_it_sleeps, &self), 0);
        inside = true;
        EXPECT_EQ(weft_run_once(WEFT_FOREVER), 1);
        inside = false;
        EXPECT_EQ(atomic_load(&ended), i);
        EXPECT_EQ(pthread_join(thread, NULL), 0);
    }
    finish();
}

/* ---- who may not */

static int refused_inside(weft_call *call)
{
    EXPECT_EQ(weft_run_once(WEFT_NOW), -EINVAL);
    EXPECT_EQ(weft_run_fd(), -EINVAL);
    atomic_fetch_add(&ended, 1);
    (void)call;
    return 0;
}

TEST(a_task_may_not_run_tasks)
{
    embed();
    start(refused_inside);
    loop_until(&ended, 1);
    finish();
}

static void *refused_elsewhere(void *ctx)
{
    EXPECT_EQ(weft_run_once(WEFT_NOW), -EBUSY);
    EXPECT_EQ(weft_run_fd(), -EBUSY);
    return ctx;
}

TEST(only_one_thread_may_run_tasks)
{
    embed();
    in_another_thread(refused_elsewhere, NULL);
    EXPECT_EQ(weft_run_fd(), loop_fd);
    finish();
}

TEST(where_there_are_workers_nobody_else_may_run_tasks)
{
    int rc = weft_group_open(&group, WEFT_TASKS, NULL);
    if (rc == -ENOSYS || rc == -EPERM)
        SKIP("this system does not allow %s", getenv("WEFT_IO"));
    EXPECT_EQ(rc, 0);
    weft_group_close(group);
    workers_make_all();
    DESCRIPTORS_COUNT_FROM_HERE();
    EXPECT_EQ(weft_run_once(WEFT_NOW), -EBUSY);
    EXPECT_EQ(weft_run_fd(), -EBUSY);
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    start(refused_inside);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
}

TEST(in_a_forked_child_nobody_may)
{
    int status;
    embed();
    pid_t child = fork();
    EXPECT_GE(child, 0);
    if (child == 0)
        _exit(weft_run_once(WEFT_NOW) == -ECHILD && weft_run_fd() == -ECHILD ? 0 : 1);
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    finish();
}
