/* SPDX-License-Identifier: MIT */
/* The reactor when its kernel is short of something, interrupts, or does less than it was asked.
 * What is made to go wrong is said in io/fault.h. */
#include <sys/resource.h>

#include "reactors.h"

static char buffer[64];

/* Each point has a list of what happens, over and over; an empty one: nothing. */
static struct script {
    const int *steps;
    int count;
    int next;
} scripts[FAULT_WAIT + 1];

static int play(enum io_fault_point point, struct io_op *op)
{
    struct script *script = &scripts[point];
    if (!script->count)
        return old_kernel(point, op);
    return script->steps[script->next++ % script->count];
}

#define SCRIPT(point, ...)                                                                         \
    do {                                                                                           \
        static const int steps[] = { __VA_ARGS__ };                                                \
        scripts[point] = (struct script){ steps, sizeof steps / sizeof *steps, 0 };                \
        io_fault = play;                                                                           \
    } while (0)

static void no_more(enum io_fault_point point)
{
    scripts[point].count = 0;
}

/* Data that differs from place to place, so that what is lost or doubled shows. */
static void transfer(struct end ends[2])
{
    enum { SIZE = 20000 };
    static char data[SIZE], copy[SIZE];
    size_t sent = 0, received = 0;
    struct test_op put = send_op(ends[0], data, SIZE), got = recv_op(ends[1], copy, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 % 251);
    start(&put);
    start(&got);
    for (;;) {
        bool sends = sent < SIZE && put.ended, receives = got.ended;
        if (sends) {
            EXPECT_GT(put.op.result, 0);
            sent += (size_t)put.op.result;
            put = send_op(ends[0], data + sent, SIZE - sent);
            if (sent < SIZE)
                start(&put);
        }
        if (receives) {
            EXPECT_GT(got.op.result, 0);
            received += (size_t)got.op.result;
            if (received == SIZE)
                break;
            got = recv_op(ends[1], copy + received, SIZE - received);
            start(&got);
        }
        if (!sends && !receives)
            reactor->ops->wait(reactor, WEFT_FOREVER);
    }
    while (sent < SIZE && !put.ended) /* all has arrived, but that is not yet known */
        reactor->ops->wait(reactor, WEFT_FOREVER);
    EXPECT_MEM(copy, data, SIZE);
}

static void transfer_all(uint64_t identity)
{
    void (*const pairs[])(struct end[2]) = { tcp_pair, unix_pair };
    for (int i = 0; i < 2; i++) {
        struct end ends[2];
        open_reactor();
        pairs[i](ends);
        ends[0].identity *= identity;
        ends[1].identity *= identity;
        transfer(ends);
        close_pair(ends);
        close_reactor();
    }
}

TEST(short_transfers_lose_nothing)
{
    SCRIPT(FAULT_OP, 1, 3, 0, 100, 7);
    transfer_all(1);
    transfer_all(0);
}

TEST(interrupted_calls_lose_nothing)
{
    SCRIPT(FAULT_OP, -EINTR, 0, -EINTR, -EINTR, 50);
    transfer_all(1);
    transfer_all(0);
}

TEST(what_is_not_ready_after_all_is_waited_for)
{
    SCRIPT(FAULT_OP, -EAGAIN, 70, -EAGAIN, -EAGAIN, 0, -EINTR);
    transfer_all(0);
}

TEST(a_kernel_that_takes_nothing_is_asked_again)
{
    SCRIPT(FAULT_WAIT, -EINTR, 0, -EAGAIN, 0, -EBUSY, -EINTR, -ENOMEM);
    SCRIPT(FAULT_OP, 500, 0, 3000);
    transfer_all(1);
}

TEST(a_ring_that_is_often_full_does_all_in_the_end)
{
    SCRIPT(FAULT_RING, 1, 1, 0, 1, 0);
    SCRIPT(FAULT_OP, 500, -EINTR, 0, 3000);
    transfer_all(1);
}

TEST(everything_goes_wrong_at_once)
{
    SCRIPT(FAULT_RING, 1, 0, 1, 1, 0, 0, 1);
    SCRIPT(FAULT_OP, -EAGAIN, 500, -EINTR, 0, 3000);
    SCRIPT(FAULT_WAIT, 0, -EINTR, -EAGAIN);
    transfer_all(0);
}

TEST(an_error_is_the_operations_result)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op got = recv_op(ends[1], buffer, 64), polls = poll_op(ends[1], POLLIN);
    SCRIPT(FAULT_OP, -ENOMEM);
    EXPECT_EQ(run(&got), -ENOMEM);
    EXPECT_EQ(run(&polls), -ENOMEM);
    no_more(FAULT_OP);
    start_and_wait_in_vain(&got);
    EXPECT_EQ(cancel_and_wait(&got), -ECANCELED);
    close_pair(ends);
    close_reactor();
}

TEST(a_peer_that_gives_up_is_not_accepted)
{
    struct sockaddr_in where;
    open_reactor();
    struct end listener = listen_tcp(&where);
    struct end client = owned(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(client.fd, (struct sockaddr *)&where, sizeof where), 0);
    struct test_op accepts = accept_op(listener);
    SCRIPT(FAULT_OP, -ECONNABORTED, -ECONNABORTED, 0);
    EXPECT_GE(run(&accepts), 0);
    EXPECT_EQ(scripts[FAULT_OP].next, 3);
    close((int)accepts.op.result);
    close(client.fd);
    close(listener.fd);
    close_reactor();
}

TEST(what_finds_the_ring_full_can_be_cancelled)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op early = recv_op(ends[1], buffer, 64), late = early;
    start_and_wait_in_vain(&early);
    SCRIPT(FAULT_RING, 1);
    start_and_wait_in_vain(&late);
    reactor->ops->cancel(reactor, &early.op); /* its entry is wanted, too */
    EXPECT_EQ(cancel_and_wait(&late), -ECANCELED);
    reactor->ops->wait(reactor, WEFT_NOW);
    no_more(FAULT_RING);
    until_ended(&early);
    EXPECT_EQ(early.op.result, -ECANCELED);
    close_pair(ends);
    close_reactor();
}

TEST(what_ends_while_its_cancellation_waits_for_room_has_ended)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op got = recv_op(ends[1], buffer, 64);
    start_and_wait_in_vain(&got);
    SCRIPT(FAULT_RING, 1);
    reactor->ops->cancel(reactor, &got.op);
    EXPECT_EQ(send(ends[0].fd, "x", 1, 0), 1);
    until_ended(&got);
    EXPECT_EQ(got.op.result, is_epoll() ? -ECANCELED : 1);
    no_more(FAULT_RING);
    struct test_op again = recv_op(ends[1], buffer, 64);
    if (!is_epoll())
        EXPECT_EQ(send(ends[0].fd, "x", 1, 0), 1);
    EXPECT_EQ(run(&again), 1);
    close_pair(ends);
    close_reactor();
}

TEST(epoll_that_refuses_a_descriptor_is_an_error)
{
    struct end ends[2];
    open_reactor();
    if (!is_epoll()) {
        close_reactor();
        SKIP("only epoll watches descriptors");
    }
    tcp_pair(ends);
    for (int i = 0; i < 2; i++) {
        ends[1].identity *= (uint64_t)!i;
        struct test_op got = recv_op(ends[1], buffer, 64);
        SCRIPT(FAULT_WATCH, -ENOSPC);
        EXPECT_EQ(run(&got), -ENOSPC);
        EXPECT_EQ(reactor->under_way, 0);
        no_more(FAULT_WATCH);
        start_and_wait_in_vain(&got);
        EXPECT_EQ(send(ends[0].fd, "x", 1, 0), 1);
        until_ended(&got);
        EXPECT_EQ(got.op.result, 1);
    }
    close_pair(ends);
    close_reactor();
}

TEST(epoll_that_refuses_a_second_time_ends_all_who_wait)
{
    struct end ends[2];
    open_reactor();
    if (!is_epoll()) {
        close_reactor();
        SKIP("only epoll watches descriptors");
    }
    unix_pair(ends);
    struct end foreign = { ends[1].fd, 0 };
    struct test_op got[3];
    for (int i = 0; i < 3; i++) {
        got[i] = recv_op(foreign, buffer, 1);
        start_and_wait_in_vain(&got[i]);
    }
    SCRIPT(FAULT_WATCH, -ENOMEM);
    EXPECT_EQ(send(ends[0].fd, "x", 1, 0), 1);
    for (int i = 0; i < 3; i++) {
        until_ended(&got[i]);
        EXPECT_EQ(got[i].op.result, i ? -ENOMEM : 1);
    }
    close_pair(ends);
    close_reactor();
}

/* What a request to an echo server costs, seen from the points. */
TEST(epoll_makes_no_call_in_vain_and_watches_once)
{
    struct end ends[2];
    open_reactor();
    if (!is_epoll()) {
        close_reactor();
        SKIP("only epoll makes the calls itself");
    }
    tcp_pair(ends);
    SCRIPT(FAULT_WATCH, 0);
    SCRIPT(FAULT_OP, 0);
    struct test_op got = recv_op(ends[1], buffer, 64), put = send_op(ends[1], "pong", 4);
    start_and_wait_in_vain(&got);
    EXPECT_EQ(scripts[FAULT_WATCH].next, 1);
    scripts[FAULT_OP].next = 0;
    for (int i = 1; i <= 10; i++) {
        EXPECT_EQ(send(ends[0].fd, "ping", 4, 0), 4);
        until_ended(&got);
        EXPECT_EQ(got.op.result, 4);
        EXPECT_EQ(run(&put), 4);
        start(&got);
        EXPECT_EQ(got.ended, 0);
        EXPECT_EQ(scripts[FAULT_OP].next, 2 * i);
    }
    EXPECT_EQ(scripts[FAULT_WATCH].next, 1);
    EXPECT_EQ(cancel_and_wait(&got), -ECANCELED);
    close_pair(ends);
    close_reactor();
}

/* The environment has nothing to say in these. */

TEST(where_io_uring_is_forbidden_it_is_epoll)
{
    unsetenv("WEFT_IO");
    SCRIPT(FAULT_OPEN, -EPERM, 0);
    open_reactor();
    EXPECT_TRUE(is_epoll());
    close_reactor();
}

TEST(where_all_is_forbidden_that_is_told)
{
    unsetenv("WEFT_IO");
    SCRIPT(FAULT_OPEN, -EPERM, -EMFILE);
    EXPECT_EQ(reactor_open(&reactor), -EMFILE);
}

TEST(what_is_forced_has_no_substitute)
{
    SCRIPT(FAULT_OPEN, -EPERM, 0);
    setenv("WEFT_IO", "uring", 1);
    EXPECT_EQ(reactor_open(&reactor), -EPERM);
}

TEST(without_descriptors_nothing_opens_and_nothing_leaks)
{
    struct rlimit limit;
    open_reactor();
    close_reactor();
    int lowest = dup(0);
    close(lowest);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    for (int room = 0; room < 3; room++) {
        limit.rlim_cur = (rlim_t)lowest + (rlim_t)room;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        int rc = reactor_open(&reactor);
        if (rc == 0)
            close_reactor();
        else
            EXPECT_EQ(rc, -EMFILE);
        EXPECT_EQ(rc == 0, room == 2);
    }
    limit.rlim_cur = before;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}
