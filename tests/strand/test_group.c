/* SPDX-License-Identifier: MIT */
/* Groups of every kind: what is started runs once, its outcome is told, nothing outlives them. */
#include "groups.h"

/* ---- functions that see nothing but their call, so that every kind can run them */

static int refuse(weft_call *call)
{
    return weft_call_fail(call, -ERANGE, "call %d is out of range", *(const int *)call->arg);
}

static int echo(weft_call *call)
{
    EXPECT_EQ((uintptr_t)call->arg % 16, 0);
    EXPECT_EQ(((const char *)call->arg)[call->arg_bytes], 0);
    return weft_call_return(call, call->arg, call->arg_bytes);
}

static int return_context(weft_call *call)
{
    return weft_call_return(call, call->context, call->context_bytes);
}

static int describe(weft_call *call)
{
    EXPECT_EQ(call->attempt, 1);
    EXPECT_TRUE(call->ret == NULL);
    EXPECT_TRUE(call->worker == NULL);
    return weft_call_return(call, &call->index, sizeof call->index);
}

static weft_outcome failure_of(weft_group *g)
{
    weft_outcome outcome;
    weft_group_failure(g, &outcome);
    return outcome;
}

/* ---- what holds for every kind */

TEST_EACH_KIND(every_call_is_given_once_with_its_result)
{
    enum { N = 12 };
    int squares[N] = { 0 };
    weft_group *g = open_group(kind, 0);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(weft_group_submit(g, square, &i, sizeof i, NULL, WEFT_FOREVER), 0);
    for (int i = 0; i < N; i++) {
        weft_future *f;
        size_t n;
        EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), 0);
        const int *result = weft_future_result(f, &n);
        EXPECT_TRUE(result);
        EXPECT_EQ(n, sizeof *result);
        EXPECT_EQ(*result, (int)(weft_future_index(f) * weft_future_index(f)));
        squares[weft_future_index(f)]++;
        weft_future_close(f);
    }
    for (int i = 0; i < N; i++)
        EXPECT_EQ(squares[i], 1);
    weft_future *none = NULL;
    EXPECT_EQ(weft_group_next(g, &none, WEFT_FOREVER), -ENODATA);
    EXPECT_TRUE(none == NULL);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    EXPECT_EQ(failure_of(g).how, WEFT_PENDING);
    weft_group_close(g);
}

TEST_EACH_KIND(the_outcome_of_a_success_says_so)
{
    weft_group *g = open_group(kind, 0);
    int64_t before = weft_now();
    weft_future *f = submit(g, square, 3);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    const weft_outcome *outcome = weft_future_outcome(f);
    EXPECT_EQ(outcome->how, WEFT_DONE);
    EXPECT_EQ(outcome->status, 0);
    EXPECT_EQ(outcome->signal, 0);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_EQ(outcome->attempts, 1);
    EXPECT_STR(outcome->text, "");
    EXPECT_LE(before, outcome->started_ns);
    EXPECT_LE(outcome->started_ns, outcome->ended_ns);
    EXPECT_LE(outcome->ended_ns, weft_now());
    weft_future_close(f);
    weft_group_close(g);
}

TEST_EACH_KIND(the_first_failure_cancels_the_group_and_is_kept)
{
    weft_group *g = open_group(kind, 0);
    weft_future *f = submit(g, refuse, 7);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_FAILED);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    weft_outcome outcome = failure_of(g);
    EXPECT_EQ(outcome.how, WEFT_FAILED);
    EXPECT_EQ(outcome.status, -ERANGE);
    EXPECT_STR(outcome.text, "call 7 is out of range");
    int arg = 1;
    EXPECT_EQ(weft_group_start(g, square, &arg, sizeof arg), -ECANCELED);
    EXPECT_EQ(weft_group_submit(g, square, &arg, sizeof arg, NULL, WEFT_NOW), -ECANCELED);
    weft_future_close(f);
    weft_group_close(g);
}

TEST_EACH_KIND(a_failure_changes_nothing_for_the_rest_when_they_shall_go_on)
{
    weft_group *g = open_group(kind, WEFT_GO_ON);
    weft_future *futures[6];
    for (int i = 0; i < 6; i++)
        futures[i] = submit(g, i % 2 ? refuse : square, i);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    for (int i = 0; i < 6; i++) {
        EXPECT_EQ(weft_future_outcome(futures[i])->how, i % 2 ? WEFT_FAILED : WEFT_DONE);
        weft_future_close(futures[i]);
    }
    weft_future_close(submit(g, square, 1));
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    weft_group_close(g);
}

TEST_EACH_KIND(arguments_cross_by_value)
{
    static const char text[] = "a string";
    char copy[] = "changed afterwards";
    weft_bytes bytes = { copy, 7 };
    weft_group *g = open_group(kind, 0);
    weft_future *f[4];
    EXPECT_EQ(weft_group_submit(g, echo, text, WEFT_STRING, &f[0], WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_submit(g, echo, &bytes, WEFT_BYTES, &f[1], WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_submit(g, echo, NULL, 0, &f[2], WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_submit(g, echo, copy, sizeof copy, &f[3], WEFT_FOREVER), 0);
    memset(copy, 'x', sizeof copy);
    const char *expected[] = { text, "changed", "", "changed afterwards" };
    size_t sizes[] = { sizeof text, 7, 0, sizeof copy };
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(weft_future_wait(f[i], WEFT_FOREVER), 0);
        size_t n = 99;
        const char *result = weft_future_result(f[i], &n);
        EXPECT_EQ(n, sizes[i]);
        if (n) {
            EXPECT_EQ((uintptr_t)result % 16, 0);
            EXPECT_EQ(result[n], 0);
            EXPECT_MEM(result, expected[i], n);
        }
        weft_future_close(f[i]);
    }
    weft_group_close(g);
}

TEST_EACH_KIND(a_large_argument_and_result_cross_whole)
{
    size_t size = (3 << 20) + 5;
    unsigned char *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 7 + (i >> 9));
    weft_group *g = open_group(kind, 0);
    weft_future *f;
    EXPECT_EQ(weft_group_submit(g, echo, data, size, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    size_t n;
    const unsigned char *result = weft_future_result(f, &n);
    EXPECT_EQ(n, size);
    EXPECT_MEM(result, data, size);
    weft_future_close(f);
    weft_group_close(g);
    free(data);
}

TEST_EACH_KIND(what_cannot_be_an_argument_is_refused)
{
    weft_group *g = open_group(kind, 0);
    int arg = 1;
    EXPECT_EQ(weft_group_start(g, NULL, &arg, sizeof arg), -EINVAL);
    EXPECT_EQ(weft_group_start(g, square, NULL, 4), -EINVAL);
    EXPECT_EQ(weft_group_start(g, square, NULL, WEFT_STRING), -EINVAL);
    EXPECT_EQ(weft_group_start(g, square, NULL, WEFT_BYTES), -EINVAL);
    EXPECT_EQ(weft_group_start(g, square, &arg, ((size_t)1 << 30) + 1), -EMSGSIZE);
    EXPECT_EQ(weft_group_start(g, square, &(weft_bytes){ NULL, 4 }, WEFT_BYTES), -EINVAL);
    EXPECT_EQ(weft_group_start(g, square, &(weft_bytes){ &arg, ((size_t)1 << 30) + 1 }, WEFT_BYTES),
              -EMSGSIZE);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}

TEST_EACH_KIND(the_context_reaches_every_call)
{
    char context[] = "the same for all";
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, kind,
                              &(weft_options){ .context = context, .context_bytes = WEFT_STRING }),
              0);
    memset(context, 'x', sizeof context - 1);
    for (int i = 0; i < 3; i++) {
        weft_future *f;
        EXPECT_EQ(weft_group_submit(g, return_context, NULL, 0, &f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        EXPECT_STR(weft_future_result(f, NULL), "the same for all");
        weft_future_close(f);
    }
    weft_group_close(g);
}

TEST_EACH_KIND(calls_are_numbered_from_zero)
{
    weft_group *g = open_group(kind, 0);
    for (uint64_t i = 0; i < 5; i++) {
        weft_future *f = submit(g, describe, 0);
        EXPECT_EQ(weft_future_index(f), i);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        EXPECT_EQ(*(const uint64_t *)weft_future_result(f, NULL), i);
        weft_future_close(f);
    }
    weft_group_close(g);
}

TEST_EACH_KIND(started_calls_are_joined_but_not_given)
{
    weft_group *g = open_group(kind, 0);
    int arg = 2;
    weft_future *f;
    EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), -ENODATA);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(weft_group_start(g, square, &arg, sizeof arg), 0);
    EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), -ENODATA);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_start(g, square, &arg, sizeof arg), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}

TEST_EACH_KIND(a_cancelled_group_starts_nothing_more)
{
    weft_group *g = open_group(kind, 0);
    weft_group_cancel(g);
    weft_group_cancel(g);
    int arg = 1;
    EXPECT_EQ(weft_group_start(g, square, &arg, sizeof arg), -ECANCELED);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECANCELED);
    weft_group_close(g);
}

TEST_EACH_KIND(futures_outlive_their_group)
{
    weft_group *g = open_group(kind, 0);
    weft_future *f = submit(g, square, 5);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    weft_group_close(g);
    EXPECT_EQ(weft_future_wait(f, WEFT_NOW), 0);
    EXPECT_EQ(*(const int *)weft_future_result(f, NULL), 25);
    weft_future_cancel(f);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_DONE);
    weft_future_close(f);
}

TEST_EACH_KIND(closing_drops_what_nobody_asked_for)
{
    weft_group *g = open_group(kind, 0);
    for (int i = 0; i < 8; i++)
        weft_future_close(submit(g, square, i));
    weft_group_close(g);
    weft_group_close(NULL);
}

static atomic_int errors;

static void count_error(const weft_outcome *outcome, void *ctx)
{
    EXPECT_EQ(outcome->how, WEFT_FAILED);
    EXPECT_EQ(outcome->status, -ERANGE);
    EXPECT_HAS(outcome->text, "out of range");
    atomic_fetch_add((atomic_int *)ctx, 1);
}

TEST_EACH_KIND(the_error_hook_hears_of_each_failure_and_nothing_else)
{
    weft_group *g;
    weft_options options = {
        .on_failure = WEFT_GO_ON,
        .on_error = count_error,
        .on_error_ctx = &errors,
    };
    EXPECT_EQ(weft_group_open(&g, kind, &options), 0);
    for (int i = 0; i < 6; i++)
        weft_future_close(submit(g, i < 4 ? refuse : square, i));
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(atomic_load(&errors), 4);
    weft_group_close(g);
}

TEST_EACH_KIND(pointers_are_refused_everywhere_under_strict)
{
    setenv("WEFT_STRICT", "1", 1);
    weft_group *g = open_group(kind, 0);
    int arg = 1;
    EXPECT_EQ(weft_group_start(g, square, &arg, WEFT_POINTER), -EFAULT);
    weft_group_close(g);
    weft_options options = { .context = &arg, .context_bytes = WEFT_POINTER };
    EXPECT_EQ(weft_group_open(&g, kind, &options), -EFAULT);
}

TEST_EACH_KIND(options_that_make_no_sense_are_refused)
{
    weft_group *before = (weft_group *)&errors, *g = before;
    weft_options options = { .reserved = { [3] = 1 } };
    EXPECT_EQ(weft_group_open(&g, kind, &options), -EINVAL);
    EXPECT_EQ(weft_group_open(&g, (weft_kind)0, NULL), -EINVAL);
    EXPECT_EQ(weft_group_open(&g, (weft_kind)7, NULL), -EINVAL);
    EXPECT_EQ(weft_group_open(&g, (weft_kind)99, NULL), -EINVAL);
    if (kind != WEFT_PROCESSES) {
        options = (weft_options){ .call_timeout_ns = WEFT_S };
        EXPECT_EQ(weft_group_open(&g, kind, &options), -ENOTSUP);
    }
    EXPECT_TRUE(g == before);
}

static bool readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    EXPECT_GE(poll(&p, 1, 0), 0);
    return p.revents;
}

TEST_EACH_KIND(its_descriptor_is_readable_when_next_would_not_wait)
{
    weft_group *g = open_group(kind, 0);
    int fd = weft_group_fd(g);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(weft_group_fd(g), fd);
    EXPECT_TRUE(readable(fd)); /* -ENODATA comes at once, too */
    for (int i = 0; i < 3; i++)
        weft_future_close(submit(g, square, i));
    for (int i = 0; i < 3; i++) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        EXPECT_EQ(poll(&p, 1, -1), 1);
        weft_future *f;
        EXPECT_EQ(weft_group_next(g, &f, WEFT_NOW), 0);
        weft_future_close(f);
    }
    EXPECT_TRUE(readable(fd));
    weft_group_close(g);
}

/* ---- what needs calls that run at the same time */

TEST_EACH_STRAND_KIND(while_one_runs_waits_time_out)
{
    weft_group *g = open_group(kind, 0);
    weft_future *f = submit(g, sleep_until_cancelled, 0), *next;
    EXPECT_EQ(weft_group_next(g, &next, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_group_next(g, &next, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_group_join(g, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_group_join(g, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_future_wait(f, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_future_wait(f, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_LE(weft_future_outcome(f)->how, WEFT_RUNNING);
    EXPECT_TRUE(weft_future_result(f, NULL) == NULL);
    EXPECT_FALSE(readable(weft_group_fd(g)));
    weft_future_close(f);
    weft_group_close(g);
}

TEST_EACH_STRAND_KIND(the_first_failure_ends_those_that_wait)
{
    weft_group *g = open_group(kind, 0);
    weft_future *sleepers[3];
    for (int i = 0; i < 3; i++)
        sleepers[i] = submit(g, sleep_until_cancelled, i);
    weft_future_close(submit(g, refuse, 9));
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    EXPECT_STR(failure_of(g).text, "call 9 is out of range");
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(weft_future_wait(sleepers[i], WEFT_NOW), -ECHILD);
        EXPECT_EQ(weft_future_outcome(sleepers[i])->how, WEFT_CANCELLED);
        EXPECT_EQ(weft_future_outcome(sleepers[i])->status, -ECANCELED);
        weft_future_close(sleepers[i]);
    }
    weft_group_close(g);
}

TEST_EACH_STRAND_KIND(cancelling_a_group_ends_all_of_it)
{
    weft_group *g = open_group(kind, 0);
    weft_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = submit(g, sleep_until_cancelled, i);
    weft_group_cancel(g);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(failure_of(g).how, WEFT_PENDING);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(weft_future_outcome(f[i])->how, WEFT_CANCELLED);
        weft_future_close(f[i]);
    }
    weft_group_close(g);
}

TEST_EACH_STRAND_KIND(cancelling_one_leaves_the_others_alone)
{
    weft_group *g = open_group(kind, 0);
    weft_future *one = submit(g, sleep_until_cancelled, 0);
    weft_future *other = submit(g, sleep_until_cancelled, 0);
    weft_future_cancel(one);
    EXPECT_EQ(weft_future_wait(one, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(one)->how, WEFT_CANCELLED);
    EXPECT_EQ(weft_future_wait(other, weft_after(WEFT_MS)), -ETIMEDOUT);
    weft_future_close(submit(g, square, 1)); /* the group itself goes on */
    weft_future_cancel(other);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_future_close(one);
    weft_future_close(other);
    weft_group_close(g);
}

TEST_EACH_STRAND_KIND(closing_ends_what_still_runs)
{
    weft_group *g = open_group(kind, 0);
    weft_future *f = submit(g, sleep_until_cancelled, 0);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(weft_group_start(g, sleep_until_cancelled, NULL, 0), 0);
    weft_group_close(g);
    EXPECT_EQ(weft_future_wait(f, WEFT_NOW), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_CANCELLED);
    weft_future_close(f);
}

TEST_EACH_STRAND_KIND(next_gives_them_in_the_order_of_ending)
{
    weft_group *g = open_group(kind, 0);
    weft_future *slow = submit(g, sleep_until_cancelled, 0), *f;
    for (int i = 1; i < 5; i++) {
        weft_future_close(submit(g, square, i));
        EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_index(f), i);
        weft_future_close(f);
    }
    weft_future_cancel(slow);
    EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), 0);
    EXPECT_TRUE(f == slow);
    weft_future_close(f);
    weft_future_close(slow);
    weft_group_close(g);
}

TEST_EACH_STRAND_KIND(select_waits_for_futures_and_groups)
{
    weft_group *g = open_group(kind, WEFT_GO_ON);
    weft_future *slow = submit(g, sleep_until_cancelled, 0), *next = NULL;
    weft_case cases[] = {
        { .op = WEFT_ENDED, .on.future = slow },
        { .op = WEFT_NEXT, .on.group = g, .item = &next },
    };
    EXPECT_EQ(weft_select(cases, 2, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_select(cases, 2, weft_after(WEFT_MS)), -ETIMEDOUT);
    weft_future_close(submit(g, square, 4));
    EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 1);
    EXPECT_EQ(cases[1].result, 0);
    EXPECT_EQ(*(const int *)weft_future_result(next, NULL), 16);
    weft_future_close(next);
    weft_future_cancel(slow);
    EXPECT_EQ(weft_select(cases, 1, WEFT_FOREVER), 0);
    EXPECT_EQ(cases[0].result, -ECHILD);
    EXPECT_EQ(weft_select(cases + 1, 1, WEFT_FOREVER), 0);
    EXPECT_TRUE(next == slow);
    weft_future_close(next);
    EXPECT_EQ(weft_select(cases + 1, 1, WEFT_FOREVER), 0);
    EXPECT_EQ(cases[1].result, -ENODATA);
    weft_future_close(slow);
    weft_group_close(g);
}
