/* SPDX-License-Identifier: MIT */
/* The queue: order, bounds, both ways to shut it down, counting the work, its descriptor. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <weft/queue.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

static struct {
    weft_queue *queue;
    atomic_int got, put, refused, joined;
} * shared;
STRANDS_KEEP(shared)

static unsigned flags(void)
{
    return strands_share() ? WEFT_SHARED : 0;
}

static void open_ints(size_t items_max)
{
    EXPECT_EQ(weft_queue_open(&shared->queue, sizeof(int), items_max, flags()), 0);
}

static void put_int(int value)
{
    EXPECT_EQ(weft_queue_put(shared->queue, &value, WEFT_NOW), 0);
}

static int get_int(void)
{
    int value = -1;
    EXPECT_EQ(weft_queue_get(shared->queue, &value, WEFT_NOW), 0);
    return value;
}

/* A get that fails with the error given and leaves the item as it was. */
static void expect_no_item(int error)
{
    int value = 1234;
    EXPECT_EQ(weft_queue_get(shared->queue, &value, WEFT_NOW), error);
    EXPECT_EQ(value, 1234);
}

static void expect_refused(int error)
{
    int value = 1;
    EXPECT_EQ(weft_queue_put(shared->queue, &value, WEFT_NOW), error);
}

TEST(what_makes_no_queue_is_refused)
{
    weft_queue *before = (weft_queue *)&shared->got, *q = before;
    EXPECT_EQ(weft_queue_open(&q, 0, 1, 0), -EINVAL);
    EXPECT_EQ(weft_queue_open(&q, 1, 0, 0), -EINVAL);
    EXPECT_EQ(weft_queue_open(&q, (1 << 20) + 1, 1, 0), -EINVAL);
    EXPECT_EQ(weft_queue_open(&q, SIZE_MAX, 1, 0), -EINVAL);
    EXPECT_EQ(weft_queue_open(&q, 1, SIZE_MAX, 0), -EINVAL);
    EXPECT_EQ(weft_queue_open(&q, 2, SIZE_MAX / 2 + 2, 0), -EINVAL); /* overflows to 2 */
    EXPECT_EQ(weft_queue_open(&q, 1 << 20, 4097, 0), -EINVAL);
    EXPECT_EQ(weft_queue_open(&q, 4, 4, 2), -EINVAL);
    EXPECT_EQ(weft_queue_open(&q, 0, 4, WEFT_SHARED), -EINVAL);
    EXPECT_TRUE(q == before);
    weft_queue_close(NULL);
}

TEST(items_come_out_as_they_went_in)
{
    open_ints(3);
    for (int i = 0; i < 50; i++) {
        put_int(2 * i);
        EXPECT_EQ(weft_queue_count(shared->queue), 1 + (i > 0));
        put_int(2 * i + 1);
        if (i > 0)
            EXPECT_EQ(get_int(), 2 * i - 1);
        EXPECT_EQ(get_int(), 2 * i);
    }
    EXPECT_EQ(get_int(), 99);
    EXPECT_EQ(weft_queue_count(shared->queue), 0);
    weft_queue_close(shared->queue);
}

TEST(an_item_is_a_copy)
{
    open_ints(2);
    int value = 5;
    EXPECT_EQ(weft_queue_put(shared->queue, &value, WEFT_FOREVER), 0);
    value = 6;
    EXPECT_EQ(get_int(), 5);
    weft_queue_close(shared->queue);
}

TEST(items_may_have_any_size)
{
    static const size_t sizes[] = { 1, 2, 3, 7, 8, 63, 64, 65, 4096, 1 << 20 };
    unsigned char *in = malloc(1 << 20), *out = malloc(1 << 20);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        weft_queue *q;
        EXPECT_EQ(weft_queue_open(&q, sizes[i], 2, flags()), 0);
        for (int round = 0; round < 5; round++) {
            memset(in, 'a' + round, sizes[i]);
            in[sizes[i] - 1] = (unsigned char)round;
            EXPECT_EQ(weft_queue_put(q, in, WEFT_FOREVER), 0);
            EXPECT_EQ(weft_queue_get(q, out, WEFT_FOREVER), 0);
            EXPECT_MEM(in, out, sizes[i]);
        }
        weft_queue_close(q);
    }
    free(in);
    free(out);
}

TEST(a_full_one_and_an_empty_one_time_out)
{
    const int64_t past[] = { INT64_MIN, -1, 0, 1 };
    open_ints(1);
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        weft_deadline deadline = { past[i] };
        int value = 3;
        EXPECT_EQ(weft_queue_get(shared->queue, &value, deadline), -ETIMEDOUT);
        EXPECT_EQ(weft_queue_put(shared->queue, &value, deadline), 0);
        EXPECT_EQ(weft_queue_put(shared->queue, &value, deadline), -ETIMEDOUT);
        EXPECT_EQ(weft_queue_get(shared->queue, &value, deadline), 0);
    }
    int value = 3;
    EXPECT_EQ(weft_queue_get(shared->queue, &value, weft_after(WEFT_MS)), -ETIMEDOUT);
    put_int(1);
    EXPECT_EQ(weft_queue_put(shared->queue, &value, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_queue_count(shared->queue), 1);
    weft_queue_close(shared->queue);
}

static void getter(size_t index)
{
    int value;
    int rc = weft_queue_get(shared->queue, &value,
                            (weft_deadline){ index % 2 ? INT64_MAX : INT64_MAX - 1 });
    if (rc == 0)
        atomic_fetch_add(&shared->got, value);
    else
        EXPECT_EQ(rc, -EPIPE);
    atomic_fetch_add(&shared->refused, rc != 0);
}

static void putter(size_t index)
{
    int value = 1 << index;
    int rc = weft_queue_put(shared->queue, &value, WEFT_FOREVER);
    if (rc != 0)
        EXPECT_EQ(rc, -EPIPE);
    atomic_fetch_add(rc ? &shared->refused : &shared->put, 1);
}

TEST(a_getter_waits_for_a_put)
{
    open_ints(10);
    struct strands *getters = strands_start(4, getter);
    strands_until_asleep(getters);
    for (int i = 0; i < 4; i++)
        put_int(1 << i);
    strands_join(getters);
    EXPECT_EQ(atomic_load(&shared->got), 15);
    EXPECT_EQ(weft_queue_count(shared->queue), 0);
    weft_queue_close(shared->queue);
}

TEST(a_putter_waits_for_a_get)
{
    open_ints(1);
    put_int(0);
    struct strands *putters = strands_start(4, putter);
    strands_until_asleep(putters);
    int sum = 0;
    for (int i = 0; i < 5; i++) {
        int value;
        EXPECT_EQ(weft_queue_get(shared->queue, &value, WEFT_FOREVER), 0);
        sum += value;
    }
    EXPECT_EQ(sum, 15);
    strands_join(putters);
    weft_queue_close(shared->queue);
}

TEST(shutdown_refuses_puts_and_lets_gets_drain)
{
    open_ints(4);
    for (int i = 0; i < 3; i++)
        put_int(i);
    weft_queue_shutdown(shared->queue, false);
    weft_queue_shutdown(shared->queue, false);
    expect_refused(-EPIPE);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(get_int(), i);
    expect_no_item(-EPIPE);
    expect_no_item(-EPIPE);
    weft_queue_close(shared->queue);
}

TEST(shutdown_with_discard_drops_what_is_there)
{
    open_ints(4);
    for (int i = 0; i < 3; i++)
        put_int(i);
    weft_queue_shutdown(shared->queue, true);
    EXPECT_EQ(weft_queue_count(shared->queue), 0);
    expect_refused(-EPIPE);
    expect_no_item(-EPIPE);
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), 0);
    weft_queue_close(shared->queue);
}

TEST(a_second_shutdown_may_still_discard)
{
    open_ints(4);
    put_int(1);
    put_int(2);
    weft_queue_shutdown(shared->queue, false);
    EXPECT_EQ(get_int(), 1);
    weft_queue_shutdown(shared->queue, true);
    expect_no_item(-EPIPE);
    EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), 0);
    weft_queue_shutdown(shared->queue, false);
    expect_no_item(-EPIPE);
    weft_queue_close(shared->queue);
}

TEST(shutdown_sends_waiting_getters_away)
{
    for (int discard = 0; discard < 2; discard++) {
        atomic_store(&shared->refused, 0);
        open_ints(4);
        struct strands *getters = strands_start(4, getter);
        strands_until_asleep(getters);
        weft_queue_shutdown(shared->queue, discard);
        strands_join(getters);
        EXPECT_EQ(atomic_load(&shared->refused), 4);
        weft_queue_close(shared->queue);
    }
}

TEST(shutdown_sends_waiting_putters_away_without_their_items)
{
    for (int discard = 0; discard < 2; discard++) {
        atomic_store(&shared->refused, 0);
        open_ints(1);
        put_int(100);
        struct strands *putters = strands_start(4, putter);
        strands_until_asleep(putters);
        weft_queue_shutdown(shared->queue, discard);
        strands_join(putters);
        EXPECT_EQ(atomic_load(&shared->refused), 4);
        EXPECT_EQ(atomic_load(&shared->put), 0);
        if (!discard)
            EXPECT_EQ(get_int(), 100);
        expect_no_item(-EPIPE);
        weft_queue_close(shared->queue);
    }
}

TEST(gets_that_drain_do_not_let_a_late_put_in)
{
    open_ints(1);
    put_int(1);
    weft_queue_shutdown(shared->queue, false);
    EXPECT_EQ(get_int(), 1);
    expect_refused(-EPIPE);
    EXPECT_EQ(weft_queue_count(shared->queue), 0);
    weft_queue_close(shared->queue);
}

static void join_it(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), 0);
    atomic_fetch_add(&shared->joined, 1);
}

TEST(join_returns_at_once_when_nothing_was_ever_put)
{
    open_ints(1);
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_NOW), 0);
    weft_queue_close(shared->queue);
}

TEST(join_waits_until_every_item_is_done_not_only_taken)
{
    open_ints(4);
    for (int i = 0; i < 3; i++)
        put_int(i);
    struct strands *joiners = strands_start(3, join_it);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(get_int(), i);
        strands_until_asleep(joiners);
        EXPECT_EQ(atomic_load(&shared->joined), 0);
        EXPECT_EQ(weft_queue_join(shared->queue, WEFT_NOW), -ETIMEDOUT);
        EXPECT_EQ(weft_queue_join(shared->queue, weft_after(WEFT_MS)), -ETIMEDOUT);
        EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    }
    strands_join(joiners);
    EXPECT_EQ(atomic_load(&shared->joined), 3);
    weft_queue_close(shared->queue);
}

TEST(join_works_again_after_more_was_put)
{
    open_ints(4);
    for (int round = 0; round < 3; round++) {
        put_int(round);
        EXPECT_EQ(weft_queue_join(shared->queue, WEFT_NOW), -ETIMEDOUT);
        EXPECT_EQ(get_int(), round);
        EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
        EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), 0);
    }
    weft_queue_close(shared->queue);
}

TEST(work_done_too_often_is_an_error)
{
    open_ints(4);
    EXPECT_EQ(weft_queue_task_done(shared->queue), -EINVAL);
    put_int(1);
    EXPECT_EQ(get_int(), 1);
    EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    EXPECT_EQ(weft_queue_task_done(shared->queue), -EINVAL);
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), 0);
    weft_queue_close(shared->queue);
}

TEST(a_discarded_item_counts_as_done_a_taken_one_does_not)
{
    open_ints(4);
    for (int i = 0; i < 4; i++)
        put_int(i);
    EXPECT_EQ(get_int(), 0);
    struct strands *joiner = strands_start(1, join_it);
    strands_until_asleep(joiner);
    weft_queue_shutdown(shared->queue, true);
    strands_until_asleep(joiner);
    EXPECT_EQ(atomic_load(&shared->joined), 0);
    EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    strands_join(joiner);
    EXPECT_EQ(weft_queue_task_done(shared->queue), -EINVAL);
    weft_queue_close(shared->queue);
}

TEST(discarding_lets_joiners_go)
{
    open_ints(4);
    put_int(1);
    struct strands *joiners = strands_start(2, join_it);
    strands_until_asleep(joiners);
    weft_queue_shutdown(shared->queue, true);
    strands_join(joiners);
    weft_queue_close(shared->queue);
}

TEST(draining_after_shutdown_still_counts_the_work)
{
    open_ints(4);
    put_int(1);
    put_int(2);
    weft_queue_shutdown(shared->queue, false);
    struct strands *joiner = strands_start(1, join_it);
    strands_until_asleep(joiner);
    for (int i = 0; i < 2; i++) {
        get_int();
        EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    }
    strands_join(joiner);
    weft_queue_close(shared->queue);
}

TEST(there_is_none_in_shared_memory_without_that)
{
    if (strands_share())
        SKIP("there is shared memory");
    weft_queue *before = (weft_queue *)&shared->got, *q = before;
    int rc = weft_queue_open(&q, 4, 4, WEFT_SHARED);
    if (rc == 0) /* the harness has prepared for processes */
        weft_queue_close(q);
    else
        EXPECT_TRUE(rc == -ENOTCONN && q == before);
}

TEST(one_in_shared_memory_has_no_descriptor)
{
    if (!strands_share())
        SKIP("it is about shared memory");
    open_ints(1);
    EXPECT_EQ(weft_queue_fd(shared->queue), -ENOTSUP);
    weft_queue_close(shared->queue);
}

static void skip_unless_there_is_a_descriptor(void)
{
    if (strands_share())
        SKIP("a queue in shared memory has no descriptor");
}

static bool readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int n = poll(&p, 1, 0);
    EXPECT_GE(n, 0);
    EXPECT_EQ(p.revents & ~POLLIN, 0);
    return n == 1;
}

TEST(its_descriptor_is_readable_when_a_get_would_not_wait)
{
    skip_unless_there_is_a_descriptor();
    open_ints(2);
    int fd = weft_queue_fd(shared->queue);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(weft_queue_fd(shared->queue), fd);
    for (int round = 0; round < 3; round++) {
        EXPECT_FALSE(readable(fd));
        put_int(1);
        EXPECT_TRUE(readable(fd));
        EXPECT_TRUE(readable(fd));
        put_int(2);
        EXPECT_TRUE(readable(fd));
        get_int();
        EXPECT_TRUE(readable(fd));
        get_int();
    }
    EXPECT_FALSE(readable(fd));
    weft_queue_shutdown(shared->queue, false);
    EXPECT_TRUE(readable(fd));
    expect_no_item(-EPIPE);
    EXPECT_TRUE(readable(fd));
    weft_queue_close(shared->queue);
}

TEST(a_descriptor_asked_for_late_knows_what_is_there)
{
    skip_unless_there_is_a_descriptor();
    open_ints(2);
    put_int(1);
    int fd = weft_queue_fd(shared->queue);
    EXPECT_TRUE(readable(fd));
    get_int();
    EXPECT_FALSE(readable(fd));
    weft_queue_close(shared->queue);
    open_ints(2);
    weft_queue_shutdown(shared->queue, true);
    EXPECT_TRUE(readable(weft_queue_fd(shared->queue)));
    weft_queue_close(shared->queue);
}

static void put_many(size_t index)
{
    (void)index;
    for (int i = 0; i < 300; i++)
        EXPECT_EQ(weft_queue_put(shared->queue, &i, WEFT_FOREVER), 0);
}

TEST(a_loop_that_only_polls_the_descriptor_misses_nothing)
{
    skip_unless_there_is_a_descriptor();
    open_ints(7);
    int fd = weft_queue_fd(shared->queue);
    struct strands *putters = strands_start(2, put_many);
    for (int n = 0; n < 600;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        EXPECT_EQ(poll(&p, 1, -1), 1);
        for (int value; weft_queue_get(shared->queue, &value, WEFT_NOW) == 0;)
            n++;
    }
    strands_join(putters);
    EXPECT_FALSE(readable(fd));
    weft_queue_close(shared->queue);
}

static void get_until_cancelled(size_t index)
{
    (void)index;
    int value = 77;
    EXPECT_EQ(weft_queue_get(shared->queue, &value, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(value, 77);
}

TEST(a_cancelled_getter_takes_no_item)
{
    strands_must_be_cancellable();
    open_ints(4);
    struct strands *cancelled = strands_start(2, get_until_cancelled);
    strands_until_asleep(cancelled);
    strands_cancel_all(cancelled);
    put_int(3);
    strands_join(cancelled);
    EXPECT_EQ(get_int(), 3);
    weft_queue_close(shared->queue);
}

static void put_until_cancelled(size_t index)
{
    (void)index;
    int value = 77;
    EXPECT_EQ(weft_queue_put(shared->queue, &value, WEFT_FOREVER), -ECANCELED);
}

TEST(a_cancelled_putter_leaves_no_item)
{
    strands_must_be_cancellable();
    open_ints(1);
    put_int(1);
    struct strands *cancelled = strands_start(2, put_until_cancelled);
    strands_until_asleep(cancelled);
    strands_cancel_all(cancelled);
    strands_join(cancelled);
    EXPECT_EQ(get_int(), 1);
    expect_no_item(-ETIMEDOUT);
    weft_queue_close(shared->queue);
}

static void join_until_cancelled(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), -ECANCELED);
}

TEST(a_cancelled_joiner_returns)
{
    strands_must_be_cancellable();
    open_ints(1);
    put_int(1);
    struct strands *cancelled = strands_start(1, join_until_cancelled);
    strands_until_asleep(cancelled);
    strands_cancel_all(cancelled);
    strands_join(cancelled);
    weft_queue_close(shared->queue);
}

TEST(a_scope_ends_each_of_its_waits)
{
    weft_scope scope;
    int value = 1;
    open_ints(1);
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(weft_queue_get(shared->queue, &value, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_queue_put(shared->queue, &value, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_queue_put(shared->queue, &value, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_queue_join(shared->queue, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    weft_queue_close(shared->queue);
}

TEST(closing_drops_what_is_in_it)
{
    open_ints(1000);
    for (int i = 0; i < 1000; i++)
        put_int(i);
    weft_queue_close(shared->queue);
}
