/* SPDX-License-Identifier: MIT */
/* Promises, and futures as handles: who waits is told once it is so, and never before. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/future.h>
#include <weft/group.h>
#include <weft/scope.h>
#include <weft/select.h>

#include "harness.h"
#include "strands.h"

static weft_future *promise;
static atomic_int kept;

static void open_promise(void)
{
    EXPECT_EQ(weft_future_open(&promise), 0);
}

TEST(a_promise_is_pending_until_it_is_kept)
{
    open_promise();
    EXPECT_EQ(weft_future_wait(promise, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_future_wait(promise, (weft_deadline){ INT64_MIN }), -ETIMEDOUT);
    EXPECT_EQ(weft_future_wait(promise, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_future_outcome(promise)->how, WEFT_PENDING);
    size_t n = 9;
    EXPECT_TRUE(weft_future_result(promise, &n) == NULL);
    EXPECT_EQ(n, 0);
    EXPECT_EQ(weft_future_index(promise), 0);
    EXPECT_EQ(weft_future_finish(promise, 0, NULL, 0), 0);
    EXPECT_EQ(weft_future_wait(promise, WEFT_NOW), 0);
    weft_future_close(promise);
}

TEST(a_kept_promise_has_its_own_copy_of_the_bytes)
{
    char text[] = "kept";
    open_promise();
    EXPECT_EQ(weft_future_finish(promise, 17, text, sizeof text), 0);
    memset(text, 'x', sizeof text);
    EXPECT_EQ(weft_future_wait(promise, WEFT_FOREVER), 0);
    size_t n;
    const char *result = weft_future_result(promise, &n);
    EXPECT_EQ(n, sizeof text);
    EXPECT_STR(result, "kept");
    EXPECT_EQ(result[n], 0);
    EXPECT_EQ((uintptr_t)result % 16, 0);
    EXPECT_EQ(weft_future_outcome(promise)->how, WEFT_DONE);
    EXPECT_EQ(weft_future_outcome(promise)->status, 17);
    EXPECT_STR(weft_future_outcome(promise)->text, "");
    EXPECT_EQ(weft_future_finish(promise, 0, NULL, 0), -EALREADY);
    EXPECT_EQ(weft_future_finish(promise, -EIO, NULL, 0), -EALREADY);
    EXPECT_STR(weft_future_result(promise, NULL), "kept");
    weft_future_close(promise);
}

TEST(a_promise_may_be_kept_with_a_failure)
{
    open_promise();
    EXPECT_EQ(weft_future_finish(promise, -ENOENT, "why", 4), 0);
    EXPECT_EQ(weft_future_wait(promise, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(promise)->how, WEFT_FAILED);
    EXPECT_EQ(weft_future_outcome(promise)->status, -ENOENT);
    EXPECT_NE(weft_future_outcome(promise)->text[0], 0);
    weft_future_close(promise);
}

TEST(a_cancelled_promise_cannot_be_kept)
{
    open_promise();
    weft_future_cancel(promise);
    weft_future_cancel(promise);
    EXPECT_EQ(weft_future_wait(promise, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(promise)->how, WEFT_CANCELLED);
    EXPECT_EQ(weft_future_outcome(promise)->status, -ECANCELED);
    EXPECT_EQ(weft_future_finish(promise, 0, NULL, 0), -EALREADY);
    weft_future_close(promise);
}

TEST(cancelling_a_kept_promise_changes_nothing)
{
    open_promise();
    EXPECT_EQ(weft_future_finish(promise, -ECANCELED, NULL, 0), 0);
    weft_outcome before = *weft_future_outcome(promise);
    EXPECT_EQ(before.how, WEFT_FAILED); /* nobody had cancelled it */
    weft_future_cancel(promise);
    EXPECT_EQ(weft_future_outcome(promise)->how, before.how);
    weft_future_close(promise);
}

TEST(bytes_that_are_none_or_too_many_are_refused_and_it_stays_open)
{
    open_promise();
    EXPECT_EQ(weft_future_finish(promise, 0, NULL, 5), -EINVAL);
    EXPECT_LT(weft_future_finish(promise, 0, "x", ((size_t)1 << 30) + 1), 0);
    EXPECT_EQ(weft_future_outcome(promise)->how, WEFT_PENDING);
    EXPECT_EQ(weft_future_finish(promise, 0, "x", 1), 0);
    weft_future_close(promise);
}

/* LeakSanitizer is the judge. */
TEST(a_promise_that_is_never_kept_may_be_closed)
{
    for (int i = 0; i < 10; i++) {
        weft_future *f;
        EXPECT_EQ(weft_future_open(&f), 0);
        weft_future_close(f);
    }
    weft_future_close(NULL);
}

static int nothing(weft_call *call)
{
    (void)call;
    return 0;
}

TEST(what_is_no_promise_cannot_be_kept)
{
    weft_group *g;
    weft_future *f;
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, NULL), 0);
    EXPECT_EQ(weft_group_submit(g, nothing, NULL, 0, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_finish(f, 0, NULL, 0), -EINVAL);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_finish(f, 0, NULL, 0), -EINVAL);
    weft_future_close(f);
    weft_group_close(g);
}

static void wait_for_it(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_future_wait(promise, WEFT_FOREVER), 0);
    EXPECT_STR(weft_future_result(promise, NULL), "for all");
}

TEST(keeping_it_wakes_all_that_wait)
{
    open_promise();
    struct strands *waiters = strands_start(5, wait_for_it);
    strands_until_asleep(waiters);
    EXPECT_EQ(weft_future_finish(promise, 0, "for all", 8), 0);
    strands_join(waiters);
    weft_future_close(promise);
}

static void keep_it(size_t index)
{
    int rc = weft_future_finish(promise, (int)index, &index, sizeof index);
    if (rc == 0)
        atomic_fetch_add(&kept, 1);
    else
        EXPECT_EQ(rc, -EALREADY);
}

TEST(of_many_that_keep_it_one_does)
{
    for (int round = 0; round < 100; round++) {
        open_promise();
        atomic_store(&kept, 0);
        struct strands *keepers = strands_start(3, keep_it);
        EXPECT_EQ(weft_future_wait(promise, WEFT_FOREVER), 0);
        size_t index = *(const size_t *)weft_future_result(promise, NULL);
        EXPECT_EQ(weft_future_outcome(promise)->status, (int)index);
        strands_join(keepers);
        EXPECT_EQ(atomic_load(&kept), 1);
        weft_future_close(promise);
    }
}

static weft_future *_Atomic handed_over;

static void keep_what_comes(size_t index)
{
    (void)index;
    for (int i = 0; i < 1000; i++) {
        weft_future *f;
        UNTIL((f = atomic_exchange(&handed_over, NULL)) != NULL);
        EXPECT_EQ(weft_future_finish(f, 0, NULL, 0), 0);
    }
}

/* The one that waits closes it while the one that keeps it is still on its way out. */
TEST(a_promise_may_be_closed_the_moment_it_is_kept)
{
    struct strands *keeper = strands_start(1, keep_what_comes);
    for (int i = 0; i < 1000; i++) {
        weft_future *f;
        EXPECT_EQ(weft_future_open(&f), 0);
        atomic_store(&handed_over, f);
        if (i % 2)
            EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        else
            UNTIL(weft_future_outcome(f)->how == WEFT_DONE);
        weft_future_close(f);
    }
    strands_join(keeper);
}

static void wait_until_cancelled(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_future_wait(promise, WEFT_FOREVER), -ECANCELED);
}

TEST(cancelling_who_waits_leaves_the_promise_open)
{
    strands_must_be_cancellable();
    open_promise();
    struct strands *waiters = strands_start(2, wait_until_cancelled);
    strands_until_asleep(waiters);
    strands_cancel_all(waiters);
    strands_join(waiters);
    EXPECT_EQ(weft_future_outcome(promise)->how, WEFT_PENDING);
    EXPECT_EQ(weft_future_finish(promise, 0, NULL, 0), 0);
    weft_future_close(promise);
}

TEST(a_scope_ends_the_wait)
{
    open_promise();
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_future_wait(promise, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    weft_future_close(promise);
}

TEST(select_waits_for_a_promise)
{
    open_promise();
    weft_case what = { .op = WEFT_ENDED, .on.future = promise };
    EXPECT_EQ(weft_select(&what, 1, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_future_finish(promise, -EIO, NULL, 0), 0);
    EXPECT_EQ(weft_select(&what, 1, WEFT_NOW), 0);
    EXPECT_EQ(what.result, -ECHILD);
    weft_future_close(promise);
}
