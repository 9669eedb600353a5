/* SPDX-License-Identifier: MIT */
/* A task that ends the thread it runs in is named before the process aborts. */
#include <pthread.h>

#include <weft/pool.h>
#include <weft/run.h>

#include "base/sanitizer.h"
#include "fatal.h"
#include "tasks.h"

/* ThreadSanitizer ends the process itself, by a check of its own. */
static void needs_exits(void)
{
    if (THREAD_SANITIZER)
        SKIP("ThreadSanitizer knows no pthread_exit() in a fiber");
}

static int leave(weft_call *call)
{
    (void)call;
    pthread_exit(NULL);
}

static void leave_in(const weft_options *options, weft_fn *fn)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, options), 0);
    EXPECT_EQ(weft_group_start(g, fn, NULL, 0), 0);
    (void)!weft_group_join(g, WEFT_FOREVER);
}

static void leave_at_once(void)
{
    leave_in(&(weft_options){ .name = "quitter" }, leave);
}

TEST(a_task_that_ends_its_thread_is_named)
{
    needs_exits();
    run_fatal(leave_at_once);
    expect_killed_by(SIGABRT);
    EXPECT_HAS(end.said, "weft: the task quitter-0 has ended the thread that runs it");
}

static int park_and_leave(weft_call *call)
{
    EXPECT_EQ(weft_sleep_until(weft_after(1)), 0);
    weft_self_set_name("the one that goes");
    return leave(call);
}

static void leave_after_a_park(void)
{
    leave_in(NULL, park_and_leave);
}

TEST(a_task_that_ends_its_thread_is_named_as_it_calls_itself)
{
    needs_exits();
    run_fatal(leave_after_a_park);
    expect_killed_by(SIGABRT);
    EXPECT_HAS(end.said, "the task the one that goes has ended");
}

static void leave_worker_of_a_pool(void)
{
    weft_pool *pool;
    weft_options options = { .name = "crew", .workers = 1 };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_TASKS, &options), 0);
    EXPECT_EQ(weft_pool_submit(pool, leave, NULL, 0, NULL, WEFT_FOREVER), 0);
    weft_pool_close(pool);
}

TEST(a_pools_task_that_ends_its_thread_is_named)
{
    needs_exits();
    run_fatal(leave_worker_of_a_pool);
    expect_killed_by(SIGABRT);
    EXPECT_HAS(end.said, "the task crew-0 has ended");
}

static void leave_own_loop(void)
{
    weft_group *g;
    EXPECT_GE(weft_run_fd(), 0);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, &(weft_options){ .name = "guest" }), 0);
    EXPECT_EQ(weft_group_start(g, leave, NULL, 0), 0);
    (void)!weft_run_once(WEFT_FOREVER);
}

TEST(a_task_that_ends_the_thread_of_a_foreign_loop_is_named)
{
    needs_exits();
    run_fatal(leave_own_loop);
    expect_killed_by(SIGABRT);
    EXPECT_HAS(end.said, "the task guest-0 has ended");
}

static int sleep_for_ever(weft_call *call)
{
    (void)call;
    return weft_sleep_until(WEFT_FOREVER);
}

static void *run_loop_and_leave(void *arg)
{
    (void)arg;
    weft_group *g;
    EXPECT_GE(weft_run_fd(), 0);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    EXPECT_EQ(weft_group_start(g, sleep_for_ever, NULL, 0), 0);
    EXPECT_EQ(weft_run_once(WEFT_NOW), 1);
    pthread_exit(NULL);
}

static void leave_between_calls(void)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, run_loop_and_leave, NULL), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
}

TEST(a_thread_may_end_between_two_calls_of_its_loop)
{
    run_fatal(leave_between_calls);
    EXPECT_TRUE(WIFEXITED(end.status));
    EXPECT_EQ(WEXITSTATUS(end.status), 0);
    EXPECT_STR(end.said, "");
}
