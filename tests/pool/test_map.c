/* SPDX-License-Identifier: MIT */
/* Maps: results in the order of the items, an outcome for each, whatever becomes of them. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/pool.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "kinds.h"
#include "strands.h"

#define N 100

static weft_pool *open_pool(weft_kind kind)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = 3 }), 0);
    return pool;
}

static int square(weft_call *call)
{
    EXPECT_EQ(call->arg_bytes, sizeof(int));
    int n = *(const int *)call->arg;
    EXPECT_EQ(call->index, n);
    n *= n;
    return weft_call_return(call, &n, sizeof n);
}

static int square_all_but_sevens(weft_call *call)
{
    int n = *(const int *)call->arg;
    if (n % 7 == 0)
        return weft_call_fail(call, -ERANGE, "%d is a seven", n);
    return square(call);
}

static int sleep_until_cancelled(weft_call *call)
{
    (void)call;
    return weft_sleep_until(WEFT_FOREVER);
}

static void count_up(int numbers[N])
{
    for (int i = 0; i < N; i++)
        numbers[i] = i;
}

TEST_EACH_POOL_KIND(results_come_in_the_order_of_the_items)
{
    int in[N], out[N];
    weft_outcome outcomes[N];
    count_up(in);
    memset(out, 0xa5, sizeof out);
    memset(outcomes, 0xa5, sizeof outcomes);
    weft_pool *pool = open_pool(kind);
    weft_map map = {
        .in = in,
        .count = N,
        .in_bytes = sizeof *in,
        .out = out,
        .out_bytes = sizeof *out,
        .outcomes = outcomes,
    };
    EXPECT_EQ(weft_pool_map(pool, square, &map, WEFT_FOREVER), 0);
    for (int i = 0; i < N; i++) {
        EXPECT_EQ(out[i], i * i);
        EXPECT_EQ(outcomes[i].how, WEFT_DONE);
        EXPECT_EQ(outcomes[i].status, 0);
        EXPECT_EQ(outcomes[i].attempts, 1);
        EXPECT_STR(outcomes[i].text, "");
        EXPECT_LE(outcomes[i].started_ns, outcomes[i].ended_ns);
        EXPECT_EQ(in[i], i);
    }
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(a_map_of_nothing_is_done)
{
    weft_pool *pool = open_pool(kind);
    EXPECT_EQ(weft_pool_map(pool, square, &(weft_map){ 0 }, WEFT_NOW), 0);
    EXPECT_EQ(weft_pool_map(pool, square, &(weft_map){ .in_bytes = 4, .out_bytes = 4 }, WEFT_NOW),
              0);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(results_and_outcomes_are_optional)
{
    int in[N];
    count_up(in);
    weft_pool *pool = open_pool(kind);
    weft_map map = { .in = in, .count = N, .in_bytes = sizeof *in };
    EXPECT_EQ(weft_pool_map(pool, square, &map, WEFT_FOREVER), 0);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(failures_leave_zeroes_and_words_and_the_rest_may_go_on)
{
    int in[N], out[N];
    weft_outcome outcomes[N];
    count_up(in);
    memset(out, 0xa5, sizeof out);
    weft_pool *pool = open_pool(kind);
    weft_map map = {
        .in = in,
        .count = N,
        .in_bytes = sizeof *in,
        .out = out,
        .out_bytes = sizeof *out,
        .outcomes = outcomes,
        .on_failure = WEFT_GO_ON,
    };
    EXPECT_EQ(weft_pool_map(pool, square_all_but_sevens, &map, WEFT_FOREVER), -ECHILD);
    for (int i = 0; i < N; i++) {
        char words[32];
        snprintf(words, sizeof words, "%d is a seven", i);
        EXPECT_EQ(out[i], i % 7 ? i * i : 0);
        EXPECT_EQ(outcomes[i].how, i % 7 ? WEFT_DONE : WEFT_FAILED);
        EXPECT_EQ(outcomes[i].status, i % 7 ? 0 : -ERANGE);
        EXPECT_STR(outcomes[i].text, i % 7 ? "" : words);
    }
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(the_first_failure_cancels_what_has_not_started)
{
    int in[N], out[N];
    weft_outcome outcomes[N];
    count_up(in);
    weft_pool *pool = open_pool(kind);
    weft_map map = {
        .in = in,
        .count = N,
        .in_bytes = sizeof *in,
        .out = out,
        .out_bytes = sizeof *out,
        .outcomes = outcomes,
    };
    EXPECT_EQ(weft_pool_map(pool, square_all_but_sevens, &map, WEFT_FOREVER), -ECHILD);
    int failed = 0;
    for (int i = 0; i < N; i++) {
        EXPECT_NE(outcomes[i].how, WEFT_PENDING);
        EXPECT_NE(outcomes[i].how, WEFT_RUNNING);
        EXPECT_EQ(out[i], outcomes[i].how == WEFT_DONE ? i * i : 0);
        failed += outcomes[i].how == WEFT_FAILED;
        EXPECT_TRUE(outcomes[i].how != WEFT_FAILED || i % 7 == 0);
    }
    EXPECT_GE(failed, 1); /* one may be cancelled while it runs, by another that was faster */
    EXPECT_EQ(outcomes[N - 1].how, WEFT_CANCELLED);
    weft_pool_close(pool);
}

static int greet(weft_call *call)
{
    char text[64];
    EXPECT_EQ(call->arg_bytes, strlen(call->arg) + 1);
    int n = snprintf(text, sizeof text, "hello, %s", (const char *)call->arg);
    if (strcmp(call->arg, "nobody") == 0)
        return 0;
    return weft_call_return(call, text, (size_t)n + 1);
}

TEST_EACH_POOL_KIND(strings_go_in_and_out)
{
    const char *in[] = { "world", "", "nobody", "a somewhat longer name" };
    char *out[4];
    memset(out, 0xa5, sizeof out);
    weft_pool *pool = open_pool(kind);
    weft_map map = {
        .in = in,
        .count = 4,
        .in_bytes = WEFT_STRING,
        .out = out,
        .out_bytes = WEFT_STRING,
    };
    EXPECT_EQ(weft_pool_map(pool, greet, &map, WEFT_FOREVER), 0);
    EXPECT_STR(out[0], "hello, world");
    EXPECT_STR(out[1], "hello, ");
    EXPECT_STR(out[2], NULL);
    EXPECT_STR(out[3], "hello, a somewhat longer name");
    for (int i = 0; i < 4; i++)
        free(out[i]);
    weft_pool_close(pool);
}

static int repeat(weft_call *call)
{
    char bytes[512];
    for (size_t i = 0; i < call->arg_bytes; i++)
        bytes[2 * i] = bytes[2 * i + 1] = ((const char *)call->arg)[i];
    return weft_call_return(call, bytes, 2 * call->arg_bytes);
}

TEST_EACH_POOL_KIND(bytes_of_any_length_go_in_and_out)
{
    char letters[] = "abcdef";
    weft_bytes in[7], out[7];
    memset(out, 0xa5, sizeof out);
    for (size_t i = 0; i < 7; i++)
        in[i] = (weft_bytes){ i ? letters : NULL, i };
    weft_pool *pool = open_pool(kind);
    weft_map map = {
        .in = in,
        .count = 7,
        .in_bytes = WEFT_BYTES,
        .out = out,
        .out_bytes = WEFT_BYTES,
    };
    EXPECT_EQ(weft_pool_map(pool, repeat, &map, WEFT_FOREVER), 0);
    for (size_t i = 0; i < 7; i++) {
        EXPECT_EQ(out[i].size, 2 * i);
        if (i)
            EXPECT_MEM(out[i].data, "aabbccddeeff", 2 * i);
    }
    weft_bytes_free(out, 7);
    EXPECT_TRUE(out[6].data == NULL);
    EXPECT_EQ(out[6].size, 0);
    weft_bytes_free(out, 7);
    weft_bytes_free(NULL, 7);
    weft_pool_close(pool);
}

static int return_part(weft_call *call)
{
    EXPECT_EQ(call->ret_bytes, 8);
    EXPECT_TRUE(call->ret != NULL);
    size_t n = (size_t) * (const int *)call->arg;
    int rc = weft_call_return(call, "ABCDEFGHIJ", n);
    if (n <= 8)
        EXPECT_EQ(rc, 0);
    else
        EXPECT_EQ(rc, -EMSGSIZE);
    return rc;
}

TEST_EACH_POOL_KIND(a_result_of_fixed_size_is_filled_up_with_zeroes_and_never_overrun)
{
    int in[] = { 0, 3, 8, 9 };
    char out[4][8];
    weft_outcome outcomes[4];
    memset(out, 0xa5, sizeof out);
    weft_pool *pool = open_pool(kind);
    weft_map map = {
        .in = in,
        .count = 4,
        .in_bytes = sizeof *in,
        .out = out,
        .out_bytes = 8,
        .outcomes = outcomes,
        .on_failure = WEFT_GO_ON,
    };
    EXPECT_EQ(weft_pool_map(pool, return_part, &map, WEFT_FOREVER), -ECHILD);
    EXPECT_MEM(out[0], "\0\0\0\0\0\0\0\0", 8);
    EXPECT_MEM(out[1], "ABC\0\0\0\0\0", 8);
    EXPECT_MEM(out[2], "ABCDEFGH", 8);
    EXPECT_MEM(out[3], "\0\0\0\0\0\0\0\0", 8);
    EXPECT_EQ(outcomes[3].status, -EMSGSIZE);
    weft_pool_close(pool);
}

static int write_in_place(weft_call *call)
{
    memset(call->ret, 'z', call->ret_bytes);
    return 0;
}

TEST_EACH_POOL_KIND(a_result_may_be_written_where_it_goes)
{
    int in[] = { 1, 2 };
    char out[2][5];
    weft_pool *pool = open_pool(kind);
    weft_map map = {
        .in = in, .count = 2, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
    };
    EXPECT_EQ(weft_pool_map(pool, write_in_place, &map, WEFT_FOREVER), 0);
    EXPECT_MEM(out, "zzzzzzzzzz", 10);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(what_makes_no_map_is_refused_and_writes_nothing)
{
    int in[2] = { 0, 1 }, out[2] = { 7, 7 };
    weft_pool *pool = open_pool(kind);
    weft_map map = {
        .in = in, .count = 2, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
    };
    EXPECT_EQ(weft_pool_map(pool, NULL, &map, WEFT_FOREVER), -EINVAL);
    map.reserved[6] = 1;
    EXPECT_EQ(weft_pool_map(pool, square, &map, WEFT_FOREVER), -EINVAL);
    map.reserved[6] = 0;
    map.in = NULL;
    EXPECT_EQ(weft_pool_map(pool, square, &map, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(out[0], 7);
    EXPECT_EQ(out[1], 7);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(a_terminated_pool_runs_no_map)
{
    int in[2] = { 0, 1 }, out[2] = { 7, 7 };
    weft_outcome outcomes[2];
    weft_pool *pool = open_pool(kind);
    weft_pool_terminate(pool);
    weft_map map = {
        .in = in,
        .count = 2,
        .in_bytes = sizeof *in,
        .out = out,
        .out_bytes = sizeof *out,
        .outcomes = outcomes,
    };
    EXPECT_EQ(weft_pool_map(pool, square, &map, WEFT_FOREVER), -EPIPE);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(out[i], 0);
        EXPECT_EQ(outcomes[i].how, WEFT_CANCELLED);
    }
    weft_pool_close(pool);
}

TEST_EACH_POOL_STRAND_KIND(after_its_deadline_a_map_has_an_outcome_for_everything)
{
    int in[N];
    weft_outcome outcomes[N];
    count_up(in);
    memset(outcomes, 0xa5, sizeof outcomes);
    weft_pool *pool = open_pool(kind);
    weft_map map = { .in = in, .count = N, .in_bytes = sizeof *in, .outcomes = outcomes };
    EXPECT_EQ(weft_pool_map(pool, sleep_until_cancelled, &map, weft_after(5 * WEFT_MS)),
              -ETIMEDOUT);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(outcomes[i].how, WEFT_CANCELLED);
    EXPECT_EQ(outcomes[N - 1].started_ns, 0);
    int out[N];
    map = (weft_map){
        .in = in, .count = N, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
    };
    EXPECT_EQ(weft_pool_map(pool, square, &map, WEFT_FOREVER), 0);
    weft_pool_close(pool);
}

TEST_EACH_POOL_STRAND_KIND(a_scope_ends_a_map)
{
    int in[N];
    count_up(in);
    weft_scope scope;
    weft_pool *pool = open_pool(kind);
    weft_map map = { .in = in, .count = N, .in_bytes = sizeof *in };
    weft_scope_enter(&scope, weft_after(5 * WEFT_MS), 0);
    EXPECT_EQ(weft_pool_map(pool, sleep_until_cancelled, &map, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    weft_pool_close(pool);
}

static weft_pool *shared_pool;

static void map_until_cancelled(size_t index)
{
    int in[N];
    (void)index;
    count_up(in);
    weft_map map = { .in = in, .count = N, .in_bytes = sizeof *in };
    EXPECT_EQ(weft_pool_map(shared_pool, sleep_until_cancelled, &map, WEFT_FOREVER), -ECANCELED);
}

TEST_EACH_POOL_STRAND_KIND(cancelling_who_maps_ends_the_map)
{
    strands_must_be_cancellable();
    shared_pool = open_pool(kind);
    struct strands *strand = strands_start(1, map_until_cancelled);
    strands_until_asleep(strand);
    strands_cancel(strand, 0);
    strands_join(strand);
    weft_pool_close(shared_pool);
}

static void map_squares(size_t index)
{
    int in[N], out[N];
    (void)index;
    count_up(in);
    weft_map map = {
        .in = in, .count = N, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
    };
    for (int round = 0; round < 5; round++) {
        EXPECT_EQ(weft_pool_map(shared_pool, square, &map, WEFT_FOREVER), 0);
        for (int i = 0; i < N; i++)
            EXPECT_EQ(out[i], i * i);
    }
}

TEST_EACH_POOL_KIND(several_maps_may_run_at_the_same_time)
{
    shared_pool = open_pool(kind);
    strands_join(strands_start(3, map_squares));
    weft_pool_close(shared_pool);
}

static int map_inside(weft_call *call)
{
    int in[20], out[20];
    for (int i = 0; i < 20; i++)
        in[i] = i;
    weft_map map = {
        .in = in, .count = 20, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
    };
    EXPECT_EQ(weft_pool_map(shared_pool, square, &map, WEFT_FOREVER), 0);
    EXPECT_EQ(out[19], 361);
    (void)call;
    return 0;
}

TEST(a_worker_may_map_over_its_own_pool)
{
    EXPECT_EQ(weft_pool_open(&shared_pool, WEFT_THREADS,
                             &(weft_options){ .workers = 1, .backlog_max = 1 }),
              0);
    weft_future *futures[5];
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(weft_pool_submit(shared_pool, map_inside, NULL, 0, &futures[i], WEFT_FOREVER), 0);
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(weft_future_wait(futures[i], WEFT_FOREVER), 0);
        weft_future_close(futures[i]);
    }
    weft_pool_close(shared_pool);
}
