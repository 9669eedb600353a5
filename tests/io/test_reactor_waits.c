/* SPDX-License-Identifier: MIT */
/* What reactors do beyond one operation: several on a descriptor, descriptors that come and go,
 * cancelling, many at once, deadlines, wake-ups. Over the back end that WEFT_IO names. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "base/futex.h"
#include "reactors.h"

static char buffer[64];

/* Several on one descriptor */

TEST(each_of_several_receivers_gets_something)
{
    enum { RECEIVERS = 5 };
    struct end ends[2];
    struct test_op got[RECEIVERS];
    int ended = 0;
    open_reactor();
    tcp_pair(ends);
    for (int i = 0; i < RECEIVERS; i++) {
        got[i] = recv_op(ends[1], buffer, 1);
        start_and_wait_in_vain(&got[i]);
    }
    EXPECT_EQ(send(ends[0].fd, "abc", 3, 0), 3);
    while (ended < 3)
        ended += reactor->ops->wait(reactor, WEFT_FOREVER);
    settle();
    EXPECT_EQ(reactor->under_way, 2);
    EXPECT_EQ(send(ends[0].fd, "de", 2, 0), 2);
    for (int i = 0; i < RECEIVERS; i++) {
        until_ended(&got[i]);
        EXPECT_EQ(got[i].op.result, 1);
    }
    close_pair(ends);
    close_reactor();
}

TEST(readers_writers_and_pollers_share_a_socket)
{
    static char much[1 << 22];
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    while (send(ends[0].fd, much, sizeof much, 0) > 0) {
    }
    struct end foreign = { ends[0].fd, 0 };
    struct test_op got = recv_op(ends[0], buffer, 64), put = send_op(ends[0], "x", 1);
    struct test_op polls[4] = { poll_op(ends[0], POLLIN), poll_op(foreign, POLLIN),
                                poll_op(foreign, POLLOUT), poll_op(ends[0], POLLIN) };
    start_and_wait_in_vain(&polls[1]); /* first as somebody's descriptor, then as its owner's */
    start_and_wait_in_vain(&got);
    start_and_wait_in_vain(&put);
    start_and_wait_in_vain(&polls[0]);
    start_and_wait_in_vain(&polls[2]);
    start_and_wait_in_vain(&polls[3]);
    EXPECT_EQ(cancel_and_wait(&polls[3]), -ECANCELED);
    while (recv(ends[1].fd, much, sizeof much, 0) > 0 || !put.ended || !polls[2].ended)
        reactor->ops->wait(reactor, WEFT_NOW);
    EXPECT_EQ(put.op.result, 1);
    EXPECT_EQ(polls[2].op.result, POLLOUT);
    EXPECT_EQ(got.ended, 0);
    EXPECT_EQ(send(ends[1].fd, "y", 1, 0), 1);
    until_ended(&got);
    EXPECT_EQ(got.op.result, 1);
    /* The data was seen by the pollers, or had been received before they looked. */
    for (int i = 0; i < 2; i++) {
        if (!polls[i].ended)
            EXPECT_EQ(send(ends[1].fd, "z", 1, 0), 1);
        until_ended(&polls[i]);
        EXPECT_EQ(polls[i].op.result, POLLIN);
    }
    close_pair(ends);
    close_reactor();
}

/* A number is used again */

static void numbers_are_used_again(bool by_owner)
{
    open_reactor();
    int number = -1;
    for (int i = 0; i < 20; i++) {
        struct end ends[2];
        tcp_pair(ends);
        if (number >= 0)
            EXPECT_EQ(ends[0].fd, number);
        number = ends[0].fd;
        if (!by_owner || i % 4 == 3) /* both sorts, one after the other */
            ends[0].identity = 0;
        struct test_op got = recv_op(ends[0], buffer, 64);
        start_and_wait_in_vain(&got);
        EXPECT_EQ(send(ends[1].fd, "abc", 3, 0), 3);
        until_ended(&got);
        EXPECT_EQ(got.op.result, 3);
        if (i % 2) /* leave it with something registered */
            EXPECT_EQ((start_and_wait_in_vain(&got), cancel_and_wait(&got)), -ECANCELED);
        close_pair(ends);
    }
    close_reactor();
}

TEST(numbers_are_used_again_by_owned_descriptors)
{
    numbers_are_used_again(true);
}

TEST(numbers_are_used_again_by_others)
{
    numbers_are_used_again(false);
}

/* Another process, or a duplicate, keeps the first one's open file, of which epoll goes on to
 * report events. */
TEST(what_became_of_a_closed_descriptor_concerns_nobody)
{
    struct end old[2], young[2];
    open_reactor();
    tcp_pair(old);
    struct test_op got = recv_op(old[0], buffer, 64);
    start_and_wait_in_vain(&got);
    EXPECT_EQ(cancel_and_wait(&got), -ECANCELED);
    int alias = dup(old[0].fd);
    close(old[0].fd);
    pipe_pair(young);
    EXPECT_EQ(young[0].fd, old[0].fd);
    struct test_op reads = with_data(IO_READ, young[0], buffer, 64);
    start_and_wait_in_vain(&reads);
    EXPECT_EQ(send(old[1].fd, "x", 1, 0), 1);
    settle();
    EXPECT_EQ(reads.ended, 0);
    EXPECT_EQ(write(young[1].fd, "y", 1), 1);
    until_ended(&reads);
    EXPECT_EQ(reads.op.result, 1);
    close(alias);
    close(old[1].fd);
    close_pair(young);
    close_reactor();
}

/* Cancelling */

TEST(cancelling_before_the_kernel_knows_of_it)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op got = recv_op(ends[1], buffer, 64);
    start(&got);
    EXPECT_EQ(cancel_and_wait(&got), -ECANCELED);
    EXPECT_EQ(send(ends[0].fd, "abc", 3, 0), 3);
    EXPECT_EQ(run(&got), 3); /* nothing was lost */
    close_pair(ends);
    close_reactor();
}

TEST(cancelling_what_waits_ends_it_once)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op got = recv_op(ends[1], buffer, 64), polls = poll_op(ends[1], POLLIN);
    struct test_op foreign = poll_op((struct end){ ends[1].fd, 0 }, POLLIN);
    struct test_op *all[] = { &got, &polls, &foreign };
    for (int i = 0; i < 3; i++)
        start_and_wait_in_vain(all[i]);
    for (int i = 0; i < 3; i++) {
        reactor->ops->cancel(reactor, &all[i]->op);
        EXPECT_EQ(all[i]->ended, 0); /* done() comes in wait() only */
        EXPECT_EQ(cancel_and_wait(all[i]), -ECANCELED);
    }
    EXPECT_EQ(send(ends[0].fd, "abc", 3, 0), 3);
    EXPECT_EQ(run(&got), 3);
    close_pair(ends);
    close_reactor();
}

TEST(cancelling_what_has_happened_changes_nothing)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op got = recv_op(ends[1], buffer, 64);
    start_and_wait_in_vain(&got);
    EXPECT_EQ(send(ends[0].fd, "abc", 3, 0), 3);
    reactor->ops->cancel(reactor, &got.op);
    until_ended(&got);
    if (got.op.result == -ECANCELED)
        EXPECT_EQ(run(&got), 3);
    EXPECT_EQ(got.op.result, 3);
    EXPECT_MEM(buffer, "abc", 3);
    close_pair(ends);
    close_reactor();
}

static struct test_op *victim;

static void cancel_victim(struct io_op *op)
{
    ((struct test_op *)op)->ended++;
    reactor->ops->cancel(reactor, &victim->op);
}

static void start_again(struct io_op *op)
{
    ((struct test_op *)op)->ended++;
    start(victim);
}

TEST(the_end_of_one_may_cancel_or_start_another)
{
    struct end ends[2];
    open_reactor();
    unix_pair(ends);
    struct test_op killer = recv_op(ends[0], buffer, 64), other = recv_op(ends[1], buffer, 64);
    start_and_wait_in_vain(&killer);
    start_and_wait_in_vain(&other);
    killer.op.done = cancel_victim;
    victim = &other;
    EXPECT_EQ(send(ends[1].fd, "x", 1, 0), 1);
    until_ended(&killer);
    until_ended(&other);
    EXPECT_EQ(other.op.result, -ECANCELED);
    start_and_wait_in_vain(&killer);
    killer.op.done = start_again;
    EXPECT_EQ(send(ends[1].fd, "x", 1, 0), 1);
    EXPECT_EQ(send(ends[0].fd, "y", 1, 0), 1);
    until_ended(&killer);
    until_ended(&other);
    EXPECT_EQ(other.op.result, 1);
    close_pair(ends);
    close_reactor();
}

/* Many */

TEST(many_are_under_way_at_once)
{
    enum { MANY = 3000 }; /* more than a ring takes, and than epoll reports at a time */
    static struct test_op polls[MANY];
    static char nothing[1];
    struct end ends[2];
    open_reactor();
    pipe_pair(ends);
    for (int i = 0; i < MANY; i++) {
        polls[i] = poll_op(ends[0], POLLIN);
        start(&polls[i]);
    }
    EXPECT_EQ(reactor->under_way, MANY);
    for (int i = 0; i < MANY; i += 3)
        reactor->ops->cancel(reactor, &polls[i].op);
    settle();
    EXPECT_EQ(write(ends[1].fd, nothing, 1), 1);
    for (int i = 0; i < MANY; i++) {
        until_ended(&polls[i]);
        EXPECT_EQ(polls[i].op.result, i % 3 ? POLLIN : -ECANCELED);
    }
    close_pair(ends);
    close_reactor();
}

TEST(many_sockets_are_served)
{
    enum { PAIRS = 300 };
    static struct end ends[PAIRS][2];
    static struct test_op got[PAIRS];
    static char bytes[PAIRS];
    open_reactor();
    for (int i = 0; i < PAIRS; i++)
        unix_pair(ends[i]);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < PAIRS; i++) {
            got[i] = recv_op(ends[i][0], &bytes[i], 1);
            start(&got[i]);
        }
        settle();
        for (int i = PAIRS - 1; i >= 0; i--)
            EXPECT_EQ(send(ends[i][1].fd, &(char){ (char)i }, 1, 0), 1);
        for (int i = 0; i < PAIRS; i++) {
            until_ended(&got[i]);
            EXPECT_EQ(bytes[i], (char)i);
        }
    }
    for (int i = 0; i < PAIRS; i++)
        close_pair(ends[i]);
    close_reactor();
}

/* Time and waking */

TEST(waiting_ends_at_the_deadline_and_not_before)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op got = recv_op(ends[1], buffer, 64);
    for (int i = 0; i < 2; i++) { /* with nothing under way, and with something */
        int64_t lengths[] = { 1, WEFT_US, 50 * WEFT_US, 3 * WEFT_MS };
        for (int j = 0; j < 4; j++) {
            weft_deadline deadline = weft_after(lengths[j]);
            EXPECT_EQ(reactor->ops->wait(reactor, deadline), 0);
            EXPECT_EQ(weft_left(deadline), 0);
        }
        if (!i)
            start_and_wait_in_vain(&got);
    }
    EXPECT_EQ(reactor->ops->wait(reactor, (weft_deadline){ -5 }), 0);
    EXPECT_EQ(reactor->ops->wait(reactor, (weft_deadline){ 1 }), 0);
    EXPECT_EQ(cancel_and_wait(&got), -ECANCELED);
    close_pair(ends);
    close_reactor();
}

TEST(a_wake_up_is_kept_until_it_is_needed)
{
    open_reactor();
    for (int i = 0; i < 3; i++) {
        reactor->ops->wake(reactor);
        reactor->ops->wake(reactor);
        EXPECT_EQ(reactor->ops->wait(reactor, WEFT_NOW), 0);
        EXPECT_EQ(reactor->ops->wait(reactor, WEFT_FOREVER), 0);
    }
    weft_deadline deadline = weft_after(WEFT_MS); /* several were one */
    EXPECT_EQ(reactor->ops->wait(reactor, deadline), 0);
    EXPECT_EQ(weft_left(deadline), 0);
    close_reactor();
}

static atomic_int turn;

static void *wake_often(void *rounds)
{
    for (int i = 1; i <= *(int *)rounds; i++) {
        while (atomic_load(&turn) != i) {
        }
        reactor->ops->wake(reactor);
    }
    return NULL;
}

TEST(another_thread_ends_the_sleep)
{
    pthread_t thread;
    int rounds = 2000;
    open_reactor();
    EXPECT_EQ(pthread_create(&thread, NULL, wake_often, &rounds), 0);
    for (int i = 1; i <= rounds; i++) {
        atomic_store(&turn, i);
        EXPECT_EQ(reactor->ops->wait(reactor, WEFT_FOREVER), 0);
    }
    pthread_join(thread, NULL);
    close_reactor();
}

static void wake_in_handler(int signal)
{
    (void)signal;
    int before = errno;
    errno = EBADMSG;
    reactor->ops->wake(reactor);
    if (errno != EBADMSG)
        abort();
    errno = before;
}

static void *kill_often(void *sleeper)
{
    for (int i = 1; i <= 200; i++) {
        while (atomic_load(&turn) != i) {
        }
        EXPECT_EQ(pthread_kill(*(pthread_t *)sleeper, SIGUSR1), 0);
    }
    return NULL;
}

TEST(a_signal_handler_ends_the_sleep)
{
    pthread_t thread, self = pthread_self();
    struct sigaction action = { .sa_handler = wake_in_handler, .sa_flags = SA_RESTART };
    open_reactor();
    EXPECT_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    EXPECT_EQ(pthread_create(&thread, NULL, kill_often, &self), 0);
    for (int i = 1; i <= 200; i++) {
        atomic_store(&turn, i);
        EXPECT_EQ(reactor->ops->wait(reactor, WEFT_FOREVER), 0);
    }
    pthread_join(thread, NULL);
    close_reactor();
}

static void do_nothing(int signal)
{
    (void)signal;
}

TEST(a_signal_without_a_wake_up_does_not_end_the_sleep)
{
    struct sigaction action = { .sa_handler = do_nothing };
    open_reactor();
    EXPECT_EQ(sigaction(SIGALRM, &action, NULL), 0);
    struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { 0 };
    EXPECT_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    weft_deadline deadline = weft_after(5 * WEFT_MS);
    EXPECT_EQ(reactor->ops->wait(reactor, deadline), 0);
    EXPECT_EQ(weft_left(deadline), 0);
    EXPECT_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    close_reactor();
}

/* In another loop */

static int readable(void)
{
    struct pollfd one = { .fd = reactor->ops->fd(reactor), .events = POLLIN };
    return poll(&one, 1, 0);
}

static void until_readable(void)
{
    struct pollfd one = { .fd = reactor->ops->fd(reactor), .events = POLLIN };
    EXPECT_EQ(poll(&one, 1, -1), 1);
}

TEST(the_descriptor_tells_of_events_and_wake_ups)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    reactor->ops->wake(reactor); /* before anybody asked for the descriptor */
    until_readable();
    struct test_op got = recv_op(ends[1], buffer, 64);
    for (int i = 0; i < 5; i++) {
        start_and_wait_in_vain(&got);
        EXPECT_EQ(readable(), 0);
        EXPECT_EQ(send(ends[0].fd, "abc", 3, 0), 3);
        until_readable();
        EXPECT_EQ(reactor->ops->wait(reactor, WEFT_NOW), 1);
        EXPECT_EQ(got.op.result, 3);
        settle();
        EXPECT_EQ(readable(), 0);
        reactor->ops->wake(reactor);
        until_readable();
        EXPECT_EQ(reactor->ops->wait(reactor, WEFT_NOW), 0);
        EXPECT_EQ(readable(), 0);
        reactor->ops->wake(reactor);
        EXPECT_EQ(reactor->ops->wait(reactor, WEFT_FOREVER), 0);
        settle();
        EXPECT_EQ(readable(), 0);
    }
    close_pair(ends);
    close_reactor();
}

TEST(reactors_are_opened_and_closed_without_traces)
{
    for (int i = 0; i < 50; i++) {
        open_reactor();
        if (i % 2)
            reactor->ops->wake(reactor);
        if (i % 3)
            settle();
        close_reactor();
    }
}

/* Words in shared memory */

static uint32_t *shared_words(void)
{
    uint32_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_TRUE(words != MAP_FAILED);
    return words;
}

TEST(words_in_shared_memory_are_waited_for_where_the_kernel_can)
{
    open_reactor();
    uint32_t *words = shared_words();
    struct futex_place places[] = { futex_place(&words[0], 0, true),
                                    futex_place(&words[1], 7, true) };
    struct test_op op = { .op = { .code = IO_FUTEX, .fd = -1, .data = places, .size = 2 } };
    if (!reactor->futexes) {
        EXPECT_EQ(run(&op), -EOPNOTSUPP);
        close_reactor();
        return;
    }
    EXPECT_EQ(run(&op), -EAGAIN);
    words[1] = 7;
    start_and_wait_in_vain(&op);
    EXPECT_EQ(cancel_and_wait(&op), -ECANCELED);
    start_and_wait_in_vain(&op);
    futex_wake_shared(&words[1], 1);
    until_ended(&op);
    EXPECT_GE(op.op.result, 0);
    close_reactor();
}
