/* SPDX-License-Identifier: MIT */
/* Threads as strands: their ids, names and stacks, those that weft did not make included. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include <weft/event.h>
#include <weft/group.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

#define N 8

static atomic_uint_least64_t ids[N];

static void note_id(size_t index)
{
    uint64_t id = weft_self_id();
    EXPECT_NE(id, 0);
    strands_yield();
    EXPECT_EQ(weft_self_id(), id);
    atomic_store(&ids[index], id);
}

TEST(ids_are_never_zero_never_the_same_and_never_used_again)
{
    uint64_t seen[4 * N + 1] = { weft_self_id() };
    size_t n = 1;
    EXPECT_NE(seen[0], 0);
    for (int round = 0; round < 4; round++) {
        strands_join(strands_start(N, note_id));
        for (int i = 0; i < N; i++) {
            for (size_t j = 0; j < n; j++)
                EXPECT_NE(atomic_load(&ids[i]), seen[j]);
            seen[n++] = atomic_load(&ids[i]);
        }
    }
    EXPECT_EQ(weft_self_id(), seen[0]);
}

TEST(the_first_thread_is_called_main)
{
    EXPECT_STR(weft_self_name(), "main");
}

static void *expect_number_as_name(void *unused)
{
    char expected[40];
    (void)unused;
    snprintf(expected, sizeof expected, "strand-%llu", (unsigned long long)weft_self_id());
    EXPECT_STR(weft_self_name(), expected);
    return NULL;
}

TEST(a_thread_that_has_no_name_is_called_by_its_number)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, expect_number_as_name, NULL), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
}

static void rename_often(size_t index)
{
    (void)index;
    weft_self_set_name("short");
    EXPECT_STR(weft_self_name(), "short");
    weft_self_set_name("a name that is far longer than thirty-one bytes");
    EXPECT_EQ(strlen(weft_self_name()), 31);
    EXPECT_STR(weft_self_name(), "a name that is far longer than ");
    weft_self_set_name(NULL);
    EXPECT_TRUE(weft_self_name() != NULL);
}

TEST(names_are_copied_and_cut)
{
    strands_join(strands_start(1, rename_often));
    char name[] = "copied";
    weft_self_set_name(name);
    name[0] = 'x';
    EXPECT_STR(weft_self_name(), "copied");
}

static int return_name(weft_call *call)
{
    char seen_by_ps[16] = "";
    EXPECT_EQ(prctl(PR_GET_NAME, seen_by_ps), 0);
    EXPECT_EQ(strncmp(seen_by_ps, weft_self_name(), 15), 0);
    return weft_call_return(call, weft_self_name(), strlen(weft_self_name()) + 1);
}

TEST(strands_of_a_group_are_called_after_it)
{
    char name[] = "fetch";
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, &(weft_options){ .name = name }), 0);
    memset(name, 'x', sizeof name - 1);
    for (int i = 0; i < 3; i++) {
        weft_future *f;
        char expected[32];
        snprintf(expected, sizeof expected, "fetch-%d", i);
        EXPECT_EQ(weft_group_submit(g, return_name, NULL, 0, &f, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
        EXPECT_STR(weft_future_result(f, NULL), expected);
        weft_future_close(f);
    }
    weft_group_close(g);
}

static int return_stack_size(weft_call *call)
{
    pthread_attr_t attributes;
    size_t size = 0;
    EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
    EXPECT_EQ(pthread_attr_getstacksize(&attributes, &size), 0);
    pthread_attr_destroy(&attributes);
    return weft_call_return(call, &size, sizeof size);
}

static size_t stack_size_with(size_t asked)
{
    weft_group *g;
    weft_future *f;
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, &(weft_options){ .stack_bytes = asked }), 0);
    EXPECT_EQ(weft_group_submit(g, return_stack_size, NULL, 0, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    size_t size = *(const size_t *)weft_future_result(f, NULL);
    weft_future_close(f);
    weft_group_close(g);
    return size;
}

TEST(stacks_are_as_large_as_asked_for)
{
    const size_t sizes[] = { 256 << 10, 1 << 20, 16 << 20 };
    for (int i = 0; i < 3; i++) {
        EXPECT_GE(stack_size_with(sizes[i]), sizes[i]);
        EXPECT_LT(stack_size_with(sizes[i]), 2 * sizes[i]);
    }
    EXPECT_GE(stack_size_with(0), 64 << 10);
}

static weft_event released = WEFT_EVENT_INIT;
static atomic_int ended;

static void *outlive_nothing(void *unused)
{
    (void)unused;
    EXPECT_EQ(weft_event_wait(&released, WEFT_FOREVER), 0);
    atomic_fetch_add(&ended, 1);
    return NULL;
}

TEST(a_thread_that_weft_did_not_make_needs_no_registration)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, outlive_nothing, NULL), 0);
    weft_event_set(&released);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(pthread_join(threads[i], NULL), 0);
    EXPECT_EQ(atomic_load(&ended), 4);
}

static int do_nothing(weft_call *call)
{
    (void)call;
    return 0;
}

TEST(threads_come_and_go_by_the_thousand)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, NULL), 0);
    for (int i = 0; i < 2000; i++) {
        EXPECT_EQ(weft_group_start(g, do_nothing, NULL, 0), 0);
        if (i % 32 == 31)
            EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    }
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
}
