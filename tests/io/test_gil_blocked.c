/* SPDX-License-Identifier: MIT */
/*
 * What blocks in one of weft's calls gives up a GIL that says so, has it again when the call is
 * over, however that ended, and what the call returns is its own.
 */
#include <poll.h>

#include <weft.h>

#include "pair.h"
#include "sync/queue.h"

static weft_gil gil = WEFT_GIL_INIT, outer = WEFT_GIL_INIT, inner = WEFT_GIL_INIT;
static weft_lock lock = WEFT_LOCK_INIT;
static weft_condition condition = WEFT_CONDITION_INIT;
static weft_semaphore semaphore = WEFT_SEMAPHORE_INIT(0);
static weft_event event = WEFT_EVENT_INIT, go = WEFT_EVENT_INIT;
static weft_queue *queue;
static weft_future *promise;
static weft_pool *pool;
static atomic_bool entered;

static void prepare(void)
{
    weft_gil_init(&gil, 0, true);
}

/* ---- what the strand under test does: with the GIL, something that blocks until it is helped */

static void wait_for_lock(void)
{
    weft_lock_lock(&lock);
    EXPECT_EQ(weft_lock_release(&lock), 0);
}

static void wait_for_lock_with_deadline(void)
{
    EXPECT_EQ(weft_lock_acquire(&lock, weft_after(1000 * WEFT_S)), 0);
    EXPECT_EQ(weft_lock_release(&lock), 0);
}

static void wait_for_condition(void)
{
    weft_lock_lock(&lock);
    EXPECT_EQ(weft_condition_wait(&condition, &lock, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_lock_release(&lock), 0);
}

static void wait_for_semaphore(void)
{
    EXPECT_EQ(weft_semaphore_acquire(&semaphore, WEFT_FOREVER), 0);
}

static void wait_for_event(void)
{
    EXPECT_EQ(weft_event_wait(&event, WEFT_FOREVER), 0);
}

static void wait_for_item(void)
{
    int item = 0;
    EXPECT_EQ(weft_queue_get(queue, &item, WEFT_FOREVER), 0);
    EXPECT_EQ(item, 42);
}

static void wait_by_select(void)
{
    int item = 0;
    weft_case cases[] = { { .op = WEFT_GET, .on.queue = queue, .item = &item },
                          { .op = WEFT_SET, .on.event = &event } };
    EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 0);
    EXPECT_EQ(item, 42);
}

static void wait_for_promise(void)
{
    size_t bytes;
    EXPECT_EQ(weft_future_wait(promise, WEFT_FOREVER), 0);
    EXPECT_STR(weft_future_result(promise, &bytes), "kept");
}

static void wait_for_sleep(void)
{
    while (!weft_event_is_set(&go))
        EXPECT_EQ(weft_sleep_until(weft_after(WEFT_MS)), 0);
}

static void wait_for_stream(void)
{
    char text[8] = "";
    EXPECT_EQ(weft_stream_read_exactly(theirs, text, 5, WEFT_FOREVER), 5);
    EXPECT_STR(text, "hello");
}

static void wait_for_descriptor(void)
{
    EXPECT_GT(weft_fd_wait(weft_stream_fd(theirs), POLLIN, WEFT_FOREVER), 0);
}

static int wait_for_go(void *arg)
{
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
    return *(int *)arg;
}

static void wait_for_foreign_call(void)
{
    int answer = 43;
    EXPECT_EQ(weft_blocking(wait_for_go, &answer), 43);
}

static int double_it(weft_call *call)
{
    int n = *(const int *)call->arg * 2;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
    return weft_call_return(call, &n, sizeof n);
}

static void wait_for_map(void)
{
    int in[] = { 1, 2, 3 }, out[3];
    weft_map map = {
        .in = in, .count = 3, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
    };
    EXPECT_EQ(weft_pool_map(pool, double_it, &map, WEFT_FOREVER), 0);
    EXPECT_EQ(out[2], 6);
}

/* ---- both sides */

static void (*block)(void);

static void block_with_it(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    atomic_store(&entered, true);
    block();
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), -EDEADLK);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

/* The strand blocks with the GIL; help() then does, with the GIL, what ends that. */
static void expect_released(void (*blocking)(void), void (*help)(void))
{
    block = blocking;
    struct strands *strand = strands_start(1, block_with_it);
    UNTIL(atomic_load(&entered));
    /* Else nobody else could have it until it is helped. */
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    help();
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    strands_join(strand);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

static void release_lock(void)
{
    EXPECT_EQ(weft_lock_release(&lock), 0);
}

TEST(a_wait_for_a_lock_releases_it)
{
    prepare();
    weft_lock_lock(&lock);
    expect_released(wait_for_lock, release_lock);
}

TEST(a_wait_for_a_lock_with_a_deadline_releases_it)
{
    prepare();
    weft_lock_lock(&lock);
    expect_released(wait_for_lock_with_deadline, release_lock);
}

static void notify(void)
{
    weft_lock_lock(&lock);
    weft_condition_notify(&condition, 1);
    weft_lock_release(&lock);
}

TEST(a_wait_for_a_condition_releases_it)
{
    prepare();
    expect_released(wait_for_condition, notify);
}

static void release_semaphore(void)
{
    EXPECT_EQ(weft_semaphore_release(&semaphore, 1), 0);
}

TEST(a_wait_for_a_semaphore_releases_it)
{
    prepare();
    expect_released(wait_for_semaphore, release_semaphore);
}

static weft_semaphore *permits; /* in shared memory */
static atomic_int acquired;

static void wait_for_permit(void)
{
    EXPECT_EQ(weft_semaphore_acquire(permits, WEFT_FOREVER), 0);
}

static void acquire_one(size_t index)
{
    (void)index;
    wait_for_permit();
    atomic_fetch_add(&acquired, 1);
}

/* There, whoever has taken a permit wakes the next one, who would sleep beside one that is free. */
TEST(a_permit_in_shared_memory_is_taken_before_it)
{
    NEEDS_PROCESSES();
    DESCRIPTORS_MAY_STAY();
    EXPECT_EQ(weft_init(), 0);
    prepare();
    permits = weft_shared_alloc(sizeof *permits);
    weft_semaphore_init(permits, 0, 0);
    block = wait_for_permit;
    struct strands *first = strands_start(1, block_with_it);
    strands_until_asleep(first);
    struct strands *second = strands_start(1, acquire_one);
    strands_until_asleep(second);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_semaphore_release(permits, 1), 0);
    EXPECT_EQ(weft_semaphore_release(permits, 1), 0);
    UNTIL(atomic_load(&acquired) == 1);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    strands_join(second);
    strands_join(first);
    weft_shared_free(permits);
}

static void set_event(void)
{
    weft_event_set(&event);
}

TEST(a_wait_for_an_event_releases_it)
{
    prepare();
    expect_released(wait_for_event, set_event);
}

static void put_item(void)
{
    EXPECT_EQ(weft_queue_put(queue, &(int){ 42 }, WEFT_FOREVER), 0);
}

TEST(a_wait_for_an_item_releases_it)
{
    prepare();
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), 1, 0), 0);
    expect_released(wait_for_item, put_item);
    weft_queue_close(queue);
}

TEST(a_select_releases_it)
{
    prepare();
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), 1, 0), 0);
    expect_released(wait_by_select, put_item);
    weft_queue_close(queue);
}

/* Else it would have to wait for it with that lock, and all others for the lock. */
TEST(a_wait_for_a_lock_inside_of_the_library_keeps_it)
{
    prepare();
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), 1, 0), 0);
    weft_lock_lock(queue_lock(queue));
    block = put_item;
    struct strands *strand = strands_start(1, block_with_it);
    UNTIL(atomic_load(&entered));
    strands_until_asleep(strand);
    EXPECT_EQ(weft_gil_enter(&gil, weft_after(5 * WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_lock_release(queue_lock(queue)), 0);
    strands_join(strand);
    weft_queue_close(queue);
}

static void finish_promise(void)
{
    EXPECT_EQ(weft_future_finish(promise, 0, "kept", 5), 0);
}

TEST(a_wait_for_a_future_releases_it)
{
    prepare();
    EXPECT_EQ(weft_future_open(&promise), 0);
    expect_released(wait_for_promise, finish_promise);
    weft_future_close(promise);
}

static void set_go(void)
{
    weft_event_set(&go);
}

TEST(sleeping_releases_it)
{
    prepare();
    expect_released(wait_for_sleep, set_go);
}

static void say_hello(void)
{
    send_ours("hello");
}

TEST(a_wait_for_a_stream_releases_it)
{
    prepare();
    pair_at("127.0.0.1:0");
    expect_released(wait_for_stream, say_hello);
    part();
}

TEST(a_wait_for_a_pipe_releases_it)
{
    prepare();
    pipe_pair();
    expect_released(wait_for_stream, say_hello);
    part();
}

TEST(a_wait_for_a_descriptor_releases_it)
{
    prepare();
    pair_at("127.0.0.1:0");
    expect_released(wait_for_descriptor, say_hello);
    part();
}

TEST(a_foreign_call_releases_it)
{
    prepare();
    expect_released(wait_for_foreign_call, set_go);
}

static void map_over(weft_kind kind)
{
    weft_options options = { .workers = 2 };
    prepare();
    EXPECT_EQ(weft_pool_open(&pool, kind, &options), 0);
    expect_released(wait_for_map, set_go);
    weft_pool_close(pool);
}

TEST(a_map_over_a_pool_of_threads_releases_it)
{
    map_over(WEFT_THREADS);
}

TEST(a_map_over_a_pool_of_tasks_releases_it)
{
    DESCRIPTORS_MAY_STAY();
    map_over(WEFT_TASKS);
}

/* ---- however it ends */

static void be_late(void)
{
    char byte;
    int item;
    EXPECT_EQ(weft_event_wait(&event, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_queue_get(queue, &item, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_stream_read(theirs, &byte, 1, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_lock_acquire(&lock, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_lock_acquire(&lock, weft_after(1)), -ETIMEDOUT);
}

TEST(a_wait_that_is_late_has_it_again)
{
    prepare();
    pair_at("127.0.0.1:0");
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), 1, 0), 0);
    weft_lock_lock(&lock);
    block = be_late;
    strands_join(strands_start(3, block_with_it));
    release_lock();
    weft_queue_close(queue);
    part();
}

/* About when the lock is no longer waited for with the GIL. */
static void be_late_by_scope(void)
{
    for (int i = 0; i < 100; i++) {
        weft_scope scope;
        weft_scope_enter(&scope, weft_after((40 + i) * WEFT_US), 0);
        EXPECT_EQ(weft_lock_acquire(&lock, WEFT_FOREVER), -ETIMEDOUT);
        EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    }
}

TEST(a_scope_that_ends_the_wait_for_a_lock_says_so)
{
    prepare();
    weft_lock_lock(&lock);
    block = be_late_by_scope;
    strands_join(strands_start(1, block_with_it));
    release_lock();
}

static void be_cancelled(void)
{
    char byte;
    int item;
    EXPECT_EQ(weft_queue_get(queue, &item, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_event_wait(&event, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_stream_read(theirs, &byte, 1, WEFT_FOREVER), -ECANCELED);
}

TEST(a_wait_that_is_cancelled_has_it_again)
{
    strands_must_be_cancellable();
    prepare();
    pair_at("127.0.0.1:0");
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), 1, 0), 0);
    block = be_cancelled;
    struct strands *strand = strands_start(1, block_with_it);
    UNTIL(atomic_load(&entered));
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0); /* it waits */
    strands_cancel_all(strand);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    strands_join(strand);
    weft_queue_close(queue);
    part();
}

/* An operation that ends while its strand, which was late, takes the GIL back. */
enum { ROUNDS = HARNESS_SANITIZED || HARNESS_EMULATED ? 50 : 300 };

static atomic_long bytes_read;
static atomic_bool over;

static void read_in_haste(size_t index)
{
    char bytes[64];
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    while (atomic_load(&bytes_read) < ROUNDS) {
        ssize_t n = weft_stream_read(theirs, bytes, sizeof bytes, weft_after(20 * WEFT_US));
        EXPECT_TRUE(n == -ETIMEDOUT || n > 0);
        EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), -EDEADLK);
        for (ssize_t i = 0; i < n; i++)
            EXPECT_EQ(bytes[i], 'x');
        if (n > 0)
            atomic_fetch_add(&bytes_read, n);
    }
    atomic_store(&over, true);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

static void compute(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    while (!atomic_load(&over))
        EXPECT_EQ(weft_gil_check(&gil), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

TEST(an_operation_that_ends_while_it_is_taken_back_ends_nothing_else)
{
    weft_gil_init(&gil, 200 * WEFT_US, true);
    pair_at("127.0.0.1:0");
    struct strands *computing = strands_start(1, compute);
    struct strands *reader = strands_start(1, read_in_haste);
    for (int i = 0; i < ROUNDS; i++) {
        send_ours("x");
        UNTIL(atomic_load(&bytes_read) > i);
    }
    strands_join(reader);
    strands_join(computing);
    part();
}

/* ---- which ones, and when not */

static void sleep_with_it(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    atomic_store(&entered, true);
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
}

TEST(one_that_is_not_released_is_kept)
{
    weft_gil_init(&gil, 0, false);
    struct strands *strand = strands_start(1, sleep_with_it);
    UNTIL(atomic_load(&entered));
    strands_until_asleep(strand);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_gil_enter(&gil, weft_after(WEFT_MS)), -ETIMEDOUT);
    set_go();
    strands_join(strand);
}

static void sleep_and_leave_three(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&outer, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_enter(&inner, WEFT_FOREVER), 0);
    atomic_store(&entered, true);
    EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(&inner), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    EXPECT_EQ(weft_gil_leave(&outer), 0);
}

static void expect_which(bool outer_goes, bool gil_goes, bool inner_goes, int outer_rc, int gil_rc)
{
    weft_gil_init(&outer, 0, outer_goes);
    weft_gil_init(&gil, 0, gil_goes);
    weft_gil_init(&inner, 0, inner_goes);
    weft_event_clear(&go);
    atomic_store(&entered, false);
    struct strands *strand = strands_start(1, sleep_and_leave_three);
    UNTIL(atomic_load(&entered));
    if (inner_goes) {
        EXPECT_EQ(weft_gil_enter(&inner, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_gil_leave(&inner), 0);
    }
    strands_until_asleep(strand);
    EXPECT_EQ(weft_gil_enter(&outer, WEFT_NOW), outer_rc);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_NOW), gil_rc);
    if (gil_rc == 0)
        EXPECT_EQ(weft_gil_leave(&gil), 0);
    if (outer_rc == 0)
        EXPECT_EQ(weft_gil_leave(&outer), 0);
    set_go();
    strands_join(strand);
}

TEST(several_are_released_from_the_innermost_to_the_first_that_is_kept)
{
    expect_which(true, true, true, 0, 0);
    expect_which(false, true, true, -ETIMEDOUT, 0);
    expect_which(true, false, true, -ETIMEDOUT, -ETIMEDOUT);
    expect_which(true, true, false, -ETIMEDOUT, -ETIMEDOUT);
}

static void enter_second(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_gil_enter(&outer, WEFT_FOREVER), 0);
    atomic_store(&entered, true);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    EXPECT_EQ(weft_gil_leave(&outer), 0);
}

TEST(the_first_is_kept_while_its_strand_waits_for_a_second)
{
    weft_gil_init(&outer, 0, true);
    weft_gil_init(&gil, 0, true);
    EXPECT_EQ(weft_gil_enter(&gil, WEFT_FOREVER), 0);
    struct strands *strand = strands_start(1, enter_second);
    UNTIL(atomic_load(&entered));
    strands_until_asleep(strand);
    EXPECT_EQ(weft_gil_enter(&outer, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_gil_leave(&gil), 0);
    strands_join(strand);
}
