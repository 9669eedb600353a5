/* SPDX-License-Identifier: MIT */
/*
 * Arguments and results of every size, from none to 64 MiB, in every way that they are given: as
 * they went in they are seen, as they were returned they come out, whatever the other one's size.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

#include "harness.h"
#include "kinds.h"

/* Below and above what fits into a message, a ring, a page, a socket buffer. */
static const size_t sizes[] = {
    0,       1,
    2,       7,
    8,       15,
    16,      17,
    63,      64,
    65,      100,
    127,     128,
    200,     255,
    256,     257,
    512,     1000,
    1023,    1024,
    2048,    4000,
    4095,    4096,
    4097,    8192,
    16384,   32767,
    65535,   65536,
    65537,   1 << 17,
    200000,  1 << 18,
    1 << 20, (1 << 20) + 1,
    5 << 20,
};
enum { SIZES = sizeof sizes / sizeof *sizes, LARGEST = (HARNESS_SANITIZED ? 4 : 64) << 20 };

static char byte_at(size_t seed, size_t i)
{
    return (char)(seed * 31 + i * 7 + (i >> 8) + (i >> 16));
}

static void fill(char *bytes, size_t n, size_t seed)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(seed, i);
}

static void expect_filled(const char *bytes, size_t n, size_t seed)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != byte_at(seed, i))
            FAIL("byte %zu of %zu is %d instead of %d", i, n, bytes[i], byte_at(seed, i));
}

static char *filled(size_t n, size_t seed)
{
    char *bytes = malloc(n + 1);
    EXPECT_TRUE(bytes);
    fill(bytes, n, seed);
    bytes[n] = 'x'; /* not the NUL that a call sees */
    return bytes;
}

/* What the argument's first bytes ask for, if it has as many. */
struct wish {
    size_t arg_bytes, ret_bytes;
};

/* Checks its argument and gives as many bytes as wished. */
static int check_and_give(weft_call *call)
{
    const struct wish *wish = call->arg;
    const char *arg = call->arg;
    EXPECT_EQ((uintptr_t)call->arg % 16, 0);
    EXPECT_EQ(call->arg_bytes, wish->arg_bytes);
    expect_filled(arg + sizeof *wish, call->arg_bytes - sizeof *wish, wish->arg_bytes);
    char *result = filled(wish->ret_bytes, wish->ret_bytes + 1);
    int rc = weft_call_return(call, result, wish->ret_bytes);
    free(result);
    return rc;
}

static weft_future *ask_for(weft_pool *pool, size_t arg_bytes, size_t ret_bytes)
{
    struct wish wish = { arg_bytes + sizeof wish, ret_bytes };
    weft_future *f;
    char *arg = malloc(wish.arg_bytes);
    EXPECT_TRUE(arg);
    memcpy(arg, &wish, sizeof wish);
    fill(arg + sizeof wish, arg_bytes, wish.arg_bytes);
    EXPECT_EQ(weft_pool_submit(pool, check_and_give, arg, wish.arg_bytes, &f, WEFT_FOREVER), 0);
    memset(arg, 0, wish.arg_bytes); /* it was copied */
    free(arg);
    return f;
}

static void expect_given(weft_future *f, size_t ret_bytes)
{
    size_t bytes;
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    const char *result = weft_future_result(f, &bytes);
    EXPECT_EQ(bytes, ret_bytes);
    EXPECT_TRUE(result != NULL);
    EXPECT_EQ((uintptr_t)result % 16, 0);
    EXPECT_EQ(result[bytes], 0);
    expect_filled(result, bytes, bytes + 1);
    weft_future_close(f);
}

static weft_pool *open_pool(weft_kind kind)
{
    weft_pool *pool;
    EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = 2 }), 0);
    return pool;
}

TEST_EACH_POOL_KIND(arguments_and_results_of_every_size_go_through)
{
    weft_pool *pool = open_pool(kind);
    for (size_t i = 0; i < SIZES; i++) {
        expect_given(ask_for(pool, sizes[i], sizes[i]), sizes[i]);
        expect_given(ask_for(pool, sizes[i], 3), 3);
        expect_given(ask_for(pool, 3, sizes[i]), sizes[i]);
    }
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(calls_of_all_sizes_may_wait_at_the_same_time)
{
    weft_future *futures[SIZES];
    weft_pool *pool = open_pool(kind);
    for (size_t i = 0; i < SIZES; i++)
        futures[i] = ask_for(pool, sizes[i], sizes[SIZES - 1 - i]);
    for (size_t i = SIZES; i-- > 0;)
        expect_given(futures[i], sizes[SIZES - 1 - i]);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(very_large_arguments_and_results_go_through)
{
    weft_pool *pool = open_pool(kind);
    expect_given(ask_for(pool, LARGEST, 1), 1);
    expect_given(ask_for(pool, 1, LARGEST), LARGEST);
    expect_given(ask_for(pool, LARGEST, LARGEST), LARGEST);
    weft_pool_close(pool);
}

/* What was used is used again: many large ones, one after the other, fit where few do. */
TEST_PROCESSES(large_payloads_are_given_back)
{
    weft_pool *pool = open_pool(kind);
    for (int i = 0; i < (HARNESS_SANITIZED ? 20 : 80); i++) {
        weft_future *dropped = ask_for(pool, 1 << 20, 2 << 20);
        expect_given(ask_for(pool, 2 << 20, 1 << 20), 1 << 20);
        if (i % 2)
            weft_future_close(dropped); /* nobody looks at its result */
        else
            expect_given(dropped, 2 << 20);
    }
    weft_pool_close(pool);
}

/* ---- nothing at all */

static int tell_argument(weft_call *call)
{
    size_t told[2] = { call->arg != NULL, call->arg_bytes };
    return weft_call_return(call, told, sizeof told);
}

static int give_nothing(weft_call *call)
{
    return call->arg_bytes ? weft_call_return(call, NULL, 0) : 0;
}

TEST_EACH_POOL_KIND(no_result_differs_from_an_empty_one)
{
    weft_pool *pool = open_pool(kind);
    weft_future *none, *empty;
    size_t bytes = 7;
    EXPECT_EQ(weft_pool_submit(pool, give_nothing, NULL, 0, &none, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_pool_submit(pool, give_nothing, "x", 1, &empty, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(none, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(empty, WEFT_FOREVER), 0);
    EXPECT_TRUE(weft_future_result(none, &bytes) == NULL);
    EXPECT_EQ(bytes, 0);
    bytes = 7;
    EXPECT_TRUE(weft_future_result(empty, &bytes) != NULL);
    EXPECT_EQ(bytes, 0);
    weft_future_close(none);
    weft_future_close(empty);
    weft_pool_close(pool);
}

TEST_EACH_POOL_KIND(no_argument_has_no_bytes)
{
    weft_pool *pool = open_pool(kind);
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, tell_argument, NULL, 0, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_EQ(((const size_t *)weft_future_result(f, NULL))[1], 0);
    weft_future_close(f);
    weft_pool_close(pool);
}

/* ---- results that replace others */

static int change_its_mind(weft_call *call)
{
    char *large = filled(3 << 20, 5);
    EXPECT_EQ(weft_call_return(call, large, 3 << 20), 0);
    EXPECT_EQ(weft_call_return(call, "small", 6), 0);
    EXPECT_EQ(weft_call_return(call, large, (3 << 20) - 1), 0);
    EXPECT_EQ(weft_call_return(call, large, ((size_t)1 << 30) + 1), -EMSGSIZE);
    free(large);
    return 0;
}

TEST_EACH_POOL_KIND(the_last_result_counts)
{
    weft_pool *pool = open_pool(kind);
    for (int i = 0; i < 5; i++) {
        weft_future *f;
        size_t bytes;
        EXPECT_EQ(weft_pool_submit(pool, change_its_mind, NULL, 0, &f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        const char *result = weft_future_result(f, &bytes);
        EXPECT_EQ(bytes, (3 << 20) - 1);
        expect_filled(result, bytes, 5);
        weft_future_close(f);
    }
    weft_pool_close(pool);
}

static int fail_with_a_result(weft_call *call)
{
    char words[300];
    memset(words, 'w', sizeof words - 1);
    words[sizeof words - 1] = 0;
    EXPECT_EQ(weft_call_return(call, "evidence", 9), 0);
    return weft_call_fail(call, -EDOM, "%s", words);
}

TEST_EACH_POOL_KIND(words_are_cut_where_an_outcome_ends)
{
    weft_pool *pool = open_pool(kind);
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, fail_with_a_result, NULL, 0, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(weft_future_outcome(f)->status, -EDOM);
    EXPECT_EQ(strlen(weft_future_outcome(f)->text), 159);
    EXPECT_EQ(weft_future_outcome(f)->text[158], 'w');
    weft_future_close(f);
    weft_pool_close(pool);
}

/* ---- the other ways to give an argument */

static int return_argument(weft_call *call)
{
    return weft_call_return(call, call->arg, call->arg_bytes);
}

static void expect_returned(weft_future *f, const void *bytes, size_t n)
{
    size_t result_bytes;
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    const void *result = weft_future_result(f, &result_bytes);
    EXPECT_EQ(result_bytes, n);
    if (n)
        EXPECT_MEM(result, bytes, n);
    weft_future_close(f);
}

TEST_EACH_POOL_KIND(strings_and_bytes_of_every_size_go_through)
{
    weft_pool *pool = open_pool(kind);
    for (size_t i = 0; i < SIZES; i++) {
        weft_future *f;
        char *text = malloc(sizes[i] + 1);
        EXPECT_TRUE(text);
        memset(text, 'a' + (int)(i % 26), sizes[i]);
        text[sizes[i]] = 0;
        EXPECT_EQ(weft_pool_submit(pool, return_argument, text, WEFT_STRING, &f, WEFT_FOREVER), 0);
        expect_returned(f, text, sizes[i] + 1);
        weft_bytes bytes = { text, sizes[i] };
        EXPECT_EQ(weft_pool_submit(pool, return_argument, &bytes, WEFT_BYTES, &f, WEFT_FOREVER), 0);
        expect_returned(f, text, sizes[i]);
        free(text);
    }
    weft_pool_close(pool);
}

static int add_up(weft_call *call)
{
    const int *numbers = call->pointer;
    EXPECT_TRUE(call->arg == NULL || call->arg == call->pointer);
    return numbers[0] + numbers[1];
}

TEST_PROCESSES(a_pointer_is_lent_where_the_worker_sees_it)
{
    static const int constant[] = { 3, 4 };
    int *shared = weft_shared_alloc(2 * sizeof *shared), own[2] = { 1, 2 };
    weft_future *f;
    weft_pool *pool = open_pool(kind);
    EXPECT_TRUE(shared);
    shared[0] = 20;
    shared[1] = 22;
    EXPECT_EQ(weft_pool_submit(pool, add_up, shared, WEFT_POINTER, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_outcome(f)->status, 42);
    weft_future_close(f);
    EXPECT_EQ(weft_pool_submit(pool, add_up, own, WEFT_POINTER, &f, WEFT_FOREVER), -EFAULT);
    int rc = weft_pool_submit(pool, add_up, constant, WEFT_POINTER, &f, WEFT_FOREVER);
    EXPECT_TRUE(rc == 0 || rc == -EFAULT); /* a worker sees it, but need not be known to */
    if (rc == 0) {
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_outcome(f)->status, 7);
        weft_future_close(f);
    }
    weft_pool_close(pool);
    weft_shared_free(shared);
}

/* ---- maps */

/* Items in and out of all sizes, some without a result, in one map. */
TEST_EACH_POOL_KIND(maps_take_and_give_bytes_of_every_size)
{
    weft_bytes in[SIZES], out[SIZES];
    for (size_t i = 0; i < SIZES; i++)
        in[i] = (weft_bytes){ filled(sizes[i], i), sizes[i] };
    weft_pool *pool = open_pool(kind);
    weft_map map = {
        .in = in,
        .count = SIZES,
        .in_bytes = WEFT_BYTES,
        .out = out,
        .out_bytes = WEFT_BYTES,
    };
    EXPECT_EQ(weft_pool_map(pool, return_argument, &map, WEFT_FOREVER), 0);
    for (size_t i = 0; i < SIZES; i++) {
        EXPECT_EQ(out[i].size, sizes[i]);
        expect_filled(out[i].data, sizes[i], i);
        free(in[i].data);
    }
    weft_bytes_free(out, SIZES);
    weft_pool_close(pool);
}

static int stretch(weft_call *call)
{
    EXPECT_EQ(call->arg_bytes, 1);
    memset(call->ret, *(const char *)call->arg, call->ret_bytes);
    return 0;
}

static int shrink(weft_call *call)
{
    expect_filled(call->arg, call->arg_bytes, call->index);
    return weft_call_return(call, call->arg, 1);
}

/* A byte in and much out, and the other way round; also more than any ring holds. */
TEST_EACH_POOL_KIND(fixed_sizes_of_items_and_results_need_not_be_alike)
{
    static const size_t large_sizes[] = { 100, 4096, 70000, 2 << 20 };
    enum { N = 20 };
    weft_pool *pool = open_pool(kind);
    for (size_t s = 0; s < sizeof large_sizes / sizeof *large_sizes; s++) {
        size_t large_bytes = large_sizes[s];
        char small[N], *large = malloc(N * large_bytes);
        EXPECT_TRUE(large);
        for (int i = 0; i < N; i++)
            small[i] = (char)('a' + i);
        weft_map map = {
            .in = small, .count = N, .in_bytes = 1, .out = large, .out_bytes = large_bytes
        };
        EXPECT_EQ(weft_pool_map(pool, stretch, &map, WEFT_FOREVER), 0);
        for (size_t i = 0; i < N * large_bytes; i++)
            EXPECT_EQ(large[i], small[i / large_bytes]);
        for (size_t i = 0; i < N; i++)
            fill(large + i * large_bytes, large_bytes, i);
        map = (weft_map){
            .in = large, .count = N, .in_bytes = large_bytes, .out = small, .out_bytes = 1
        };
        EXPECT_EQ(weft_pool_map(pool, shrink, &map, WEFT_FOREVER), 0);
        for (size_t i = 0; i < N; i++)
            EXPECT_EQ(small[i], byte_at(i, 0));
        free(large);
    }
    weft_pool_close(pool);
}
