/* SPDX-License-Identifier: MIT */
/* Strands, and calls, that end while they hold a GIL: it is taken from them, and that is said. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft.h>

#include "harness.h"
#include "kinds.h"
#include "strands.h"

static weft_gil gil = WEFT_GIL_INIT, other = WEFT_GIL_INIT;

static uint64_t abandoned(weft_gil *it)
{
    weft_gil_counts counts;
    weft_gil_counters(it, &counts);
    return counts.abandoned;
}

static void expect_free(weft_gil *it)
{
    EXPECT_EQ(weft_gil_enter(it, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(it), 0);
}

static int keep_both(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_enter(&other, WEFT_FOREVER), 0);
    return 0;
}

static void note_error(const weft_outcome *outcome, void *ctx)
{
    weft_outcome *noted = ctx;
    *noted = *outcome;
}

static void expect_told(const weft_outcome *outcome)
{
    EXPECT_EQ(outcome->how, WEFT_FAILED);
    EXPECT_EQ(outcome->status, -EOWNERDEAD);
    EXPECT_HAS(outcome->text, "GIL");
}

TEST_EACH_KIND(a_call_that_keeps_it_fails_and_others_go_on)
{
    weft_group *group;
    weft_future *future;
    weft_outcome noted = { 0 };
    weft_options options = { .on_error = note_error, .on_error_ctx = &noted };
    EXPECT_EQ(weft_group_open(&group, kind, &options), 0);
    EXPECT_EQ(weft_group_submit(group, keep_both, NULL, 0, &future, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(future, WEFT_FOREVER), -ECHILD);
    expect_told(weft_future_outcome(future));
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), -ECHILD);
    expect_told(&noted);
    weft_future_close(future);
    weft_group_close(group);
    uint64_t here = kind == WEFT_PROCESSES ? 0 : 1; /* a process has its own */
    EXPECT_EQ(abandoned(&gil), here);
    EXPECT_EQ(abandoned(&other), here);
    expect_free(&gil);
    expect_free(&other);
}

static int fail_with_it(weft_call *call)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    return weft_call_fail(call, -EIO, "my own reason");
}

TEST(a_call_that_fails_by_itself_keeps_its_own_reason)
{
    weft_group *group;
    weft_outcome noted;
    EXPECT_EQ(weft_group_open(&group, WEFT_THREADS, NULL), 0);
    EXPECT_EQ(weft_group_start(group, fail_with_it, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), -ECHILD);
    weft_group_failure(group, &noted);
    EXPECT_EQ(noted.status, -EIO);
    EXPECT_STR(noted.text, "my own reason");
    weft_group_close(group);
    EXPECT_EQ(abandoned(&gil), 1);
    expect_free(&gil);
}

/* Whose strand goes on to the next call. */
TEST_EACH_KIND(a_pool_takes_it_from_each_call_that_keeps_it)
{
    weft_pool *pool;
    weft_outcome outcomes[6];
    weft_options options = { .workers = 2 };
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), 0);
    weft_map map = { .count = 6, .outcomes = outcomes, .on_failure = WEFT_GO_ON };
    EXPECT_EQ(weft_pool_map(pool, keep_both, &map, WEFT_FOREVER), -ECHILD);
    for (size_t i = 0; i < 6; i++)
        expect_told(&outcomes[i]);
    weft_pool_close(pool);
    EXPECT_EQ(abandoned(&gil), kind == WEFT_PROCESSES ? 0 : 6);
    expect_free(&gil);
}

static int leave_and_enter(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), -EDEADLK);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    return 0;
}

TEST(a_serial_call_may_use_what_its_caller_holds)
{
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_SERIAL, NULL), 0);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_start(group, leave_and_enter, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    weft_group_close(group);
    EXPECT_EQ(abandoned(&gil), 0);
}

static int fork_with_it(weft_call *call)
{
    weft_rlock rlock = WEFT_RLOCK_INIT;
    int status;
    (void)call;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    weft_rlock_lock(&rlock);
    pid_t child = fork();
    if (child == 0) {
        EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), -EDEADLK);
        EXPECT_EQ(weft_gil_leave(&gil), 0);
        EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), 0);
        EXPECT_EQ(weft_rlock_release(&rlock), 0);
        _exit(0);
    }
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(weft_rlock_release(&rlock), 0);
    return weft_gil_leave(&gil);
}

/* A task goes on in its child as a thread. */
TEST_EACH_KIND(a_child_of_its_holder_has_it)
{
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, kind, NULL), 0);
    EXPECT_EQ(weft_group_start(group, fork_with_it, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
}

static void *end_with_it(void *arg)
{
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    if (arg)
        pthread_exit(arg);
    return arg;
}

TEST(a_thread_of_the_programs_own_that_ends_with_it_loses_it)
{
    for (uintptr_t i = 0; i < 4; i++) {
        pthread_t thread;
        EXPECT_EQ(pthread_create(&thread, NULL, end_with_it, (void *)(i % 2)), 0);
        expect_free(&gil); /* which may wait for the end of the thread */
        EXPECT_EQ(pthread_join(thread, NULL), 0);
        EXPECT_EQ(abandoned(&gil), i + 1);
    }
    expect_free(&gil);
}

static int keep_in_foreign_call(void *arg)
{
    (void)arg;
    return weft_gil_enter(&gil, WEFT_FOREVER);
}

static int call_foreign(weft_call *call)
{
    (void)call;
    return weft_blocking(keep_in_foreign_call, NULL);
}

TEST(a_foreign_call_of_a_task_that_keeps_it_loses_it)
{
    weft_group *group;
    kinds_prepare(WEFT_TASKS);
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    EXPECT_EQ(weft_group_start(group, call_foreign, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    EXPECT_EQ(abandoned(&gil), 1);
    expect_free(&gil);
}

static weft_gil many[2][WEFT_GILS_MAX];

static int enter_and_keep_as_many(void *arg)
{
    for (size_t i = 0; i < WEFT_GILS_MAX; i++)
        EXPECT_EQ(weft_gil_enter(&many[1][i], WEFT_FOREVER), 0);
    return *(int *)arg;
}

/* By a thread, which makes a foreign call itself; and what it had let go of comes on top. */
TEST(who_has_more_than_it_may_take_takes_no_more_and_lets_go_of_no_more_than_there_is_room_for)
{
    int answer = 43;
    for (size_t i = 0; i < WEFT_GILS_MAX; i++) {
        weft_gil_init(&many[0][i], 0, true);
        weft_gil_init(&many[1][i], 0, true);
        EXPECT_EQ(weft_gil_enter(&many[0][i], WEFT_FOREVER), 0);
    }
    EXPECT_EQ(weft_blocking(enter_and_keep_as_many, &answer), 43);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), -EMFILE);
    EXPECT_EQ(weft_sleep_until(weft_after(WEFT_MS)), 0);
    for (size_t i = 0; i < WEFT_GILS_MAX; i++) {
        EXPECT_EQ(weft_gil_leave(&many[0][i]), 0);
        EXPECT_EQ(weft_gil_leave(&many[1][i]), 0);
    }
}
