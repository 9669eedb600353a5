/* SPDX-License-Identifier: MIT */
/* How an operation goes through a reactor: one that this file plays, so that each order of what can
 * happen is tried: the test's thread is the task, and its sleep is the worker. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <weft/scope.h>

#include "harness.h"
#include "io/op.h"
#include "park/strand.h"

static struct io_op *under_way;
static bool cancel_asked; /* of that one */
static int starts, cancels, yields;

/* What the played reactor does. */
static bool ends_at_once;      /* with result 7 */
static bool ends_in_sleep;     /* before the deadline, with result 7 */
static ssize_t cancel_result;  /* what is left of a cancelled one */
static bool cancel_ends_later; /* in the next sleep, not inside cancel() */

static void end(ssize_t result)
{
    struct io_op *op = under_way;
    under_way = NULL;
    op->result = result;
    op->done(op);
}

static int start(struct reactor *reactor, struct io_op *op)
{
    (void)reactor;
    starts++;
    if (ends_at_once) {
        op->result = 7;
        return 1;
    }
    under_way = op;
    cancel_asked = false;
    return 0;
}

static void cancel(struct reactor *reactor, struct io_op *op)
{
    (void)reactor;
    EXPECT_TRUE(op == under_way);
    cancel_asked = true;
    cancels++;
    if (!cancel_ends_later)
        end(cancel_result);
}

static void sleep_as_worker(struct strand *self, weft_deadline deadline)
{
    if (!self->token && under_way && (ends_in_sleep || cancel_asked))
        end(cancel_asked ? cancel_result : 7);
    if (!self->token) {
        EXPECT_LT(deadline.ns, INT64_MAX); /* nothing would ever end it */
        EXPECT_TRUE(strand_decide(self, STRAND_TIMED_OUT));
        return;
    }
    self->token = 0;
}

static void wake(struct strand *strand)
{
    strand->token = 1;
}

static void yield(struct strand *self)
{
    (void)self;
    yields++;
}

static const struct strand_ops task_ops = {
    .sleep = sleep_as_worker, .wake = wake, .post = wake, .yield = yield
};
static const struct reactor_ops with_files = { .files = true, .start = start, .cancel = cancel };
static const struct reactor_ops without_files = { .files = false,
                                                  .start = start,
                                                  .cancel = cancel };
static struct reactor reactor;

/* From here to the end of the test its thread is a task. */
static void become_task(const struct reactor_ops *ops)
{
    struct strand *self = strand_self();
    reactor.ops = ops;
    self->reactor = &reactor;
    self->ops = &task_ops;
}

static int fd;

static ssize_t poll_for(weft_deadline deadline)
{
    struct io_op op = { .code = IO_POLL, .fd = fd, .flags = POLLIN };
    return io_run(&op, deadline);
}

static void open_event(unsigned value)
{
    fd = eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK);
    EXPECT_GE(fd, 0);
}

TEST(the_reactor_s_result_is_the_operation_s)
{
    open_event(0);
    become_task(&with_files);
    ends_in_sleep = true;
    EXPECT_EQ(poll_for(WEFT_FOREVER), 7);
    EXPECT_EQ(poll_for(weft_after(1000 * WEFT_S)), 7);
    EXPECT_EQ(starts, 2);
    EXPECT_EQ(cancels, 0);
    close(fd);
}

TEST(a_late_operation_is_cancelled_and_reaped)
{
    open_event(0);
    become_task(&with_files);
    cancel_result = -ECANCELED;
    for (int i = 1; i <= 2; i++) {
        EXPECT_EQ(poll_for(weft_after(WEFT_MS)), -ETIMEDOUT);
        EXPECT_EQ(cancels, i);
        cancel_ends_later = true;
    }
    EXPECT_TRUE(under_way == NULL);
    close(fd);
}

TEST(what_happened_before_it_was_cancelled_counts)
{
    weft_scope scope;
    open_event(0);
    become_task(&with_files);
    cancel_result = 5;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(poll_for(WEFT_FOREVER), 5);
    EXPECT_EQ(weft_scope_leave(&scope), 0); /* it has ended nothing */
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    cancel_result = -ECANCELED;
    EXPECT_EQ(poll_for(WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    close(fd);
}

TEST(what_the_reactor_did_not_come_to_is_tried)
{
    open_event(1);
    become_task(&with_files);
    cancel_result = -ECANCELED;
    EXPECT_EQ(poll_for(weft_after(-WEFT_S)), POLLIN);
    close(fd);
}

TEST(a_connection_is_not_begun_a_second_time)
{
    become_task(&with_files);
    cancel_result = -ECANCELED;
    struct io_op op = { .code = IO_CONNECT, .fd = -1 }; /* a try would be -EBADF */
    EXPECT_EQ(io_run(&op, weft_after(WEFT_MS)), -ETIMEDOUT);
}

TEST(a_try_does_not_use_the_reactor)
{
    open_event(0);
    become_task(&with_files);
    EXPECT_EQ(poll_for(WEFT_NOW), -ETIMEDOUT);
    strand_cancel(strand_self(), 0);
    EXPECT_EQ(poll_for(WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(eventfd_write(fd, 1), 0);
    EXPECT_EQ(poll_for(WEFT_FOREVER), POLLIN);
    EXPECT_EQ(starts, 0);
    close(fd);
}

TEST(who_never_has_to_wait_yields_now_and_then)
{
    open_event(1);
    become_task(&with_files);
    ends_at_once = true;
    for (int i = 0; i < 31; i++)
        EXPECT_EQ(poll_for(WEFT_FOREVER), 7);
    EXPECT_EQ(yields, 0);
    for (int i = 0; i < 33; i++)
        EXPECT_EQ(poll_for(WEFT_FOREVER), 7);
    EXPECT_EQ(yields, 2);
    for (int i = 0; i < 64; i++)
        EXPECT_EQ(poll_for(WEFT_NOW), POLLIN); /* polling counts, too */
    EXPECT_EQ(yields, 4);
    ends_at_once = false;
    ends_in_sleep = true;
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(poll_for(WEFT_FOREVER), 7); /* each has waited */
    EXPECT_EQ(yields, 4);
    close(fd);
}

/* ---- files */

static ssize_t read_start_of_this_program(void *data, size_t size, weft_deadline deadline)
{
    struct io_op op = { .code = IO_READ, .fd = fd, .data = data, .size = size, .offset = 0 };
    return io_run(&op, deadline);
}

TEST(a_file_goes_through_the_reactor_and_is_not_late)
{
    become_task(&with_files);
    ends_in_sleep = true;
    fd = -1;
    EXPECT_EQ(read_start_of_this_program(NULL, 0, WEFT_NOW), 7);
    strand_cancel(strand_self(), 0);
    EXPECT_EQ(read_start_of_this_program(NULL, 0, WEFT_FOREVER), 7);
    EXPECT_EQ(cancels, 0);
}

/* A sleep that lets the pool's thread end it. */
static atomic_uint pool_token;

static void sleep_for_pool(struct strand *self, weft_deadline deadline)
{
    (void)self;
    (void)deadline;
    while (!atomic_exchange(&pool_token, 0))
        sched_yield();
}

static void wake_from_pool(struct strand *strand)
{
    (void)strand;
    atomic_store(&pool_token, 1);
}

static const struct strand_ops pooled_ops = {
    .sleep = sleep_for_pool, .wake = wake_from_pool, .post = wake_from_pool, .yield = yield
};

TEST(a_reactor_without_files_leaves_them_to_the_pool)
{
    char data[4];
    struct io_op sync = { .code = IO_SYNC };
    fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    become_task(&without_files);
    strand_self()->ops = &pooled_ops;
    EXPECT_EQ(read_start_of_this_program(data, sizeof data, WEFT_NOW), 4);
    EXPECT_MEM(data, "\177ELF", 4);
    close(fd);
    EXPECT_EQ(read_start_of_this_program(data, sizeof data, WEFT_FOREVER), -EBADF);
    sync.fd = -1;
    EXPECT_EQ(io_run(&sync, WEFT_FOREVER), -EBADF);
    EXPECT_EQ(starts, 0);
}
