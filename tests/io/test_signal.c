/* SPDX-License-Identifier: MIT */
/*
 * Signals as items: one for each that was delivered, whoever blocks it and however full the queue
 * is; and nothing is left of it afterwards.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/event.h>
#include <weft/self.h>
#include <weft/signal.h>

#include "harness.h"
#include "strands.h"

#define BURST 1000

static weft_queue *queue_for(size_t items_max)
{
    weft_queue *queue;
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), items_max, 0), 0);
    return queue;
}

static int next(weft_queue *queue)
{
    int signo = 0;
    EXPECT_EQ(weft_queue_get(queue, &signo, WEFT_FOREVER), 0);
    return signo;
}

static void disposition(int signo, void (*handler)(int signo))
{
    struct sigaction action = { .sa_handler = handler };
    EXPECT_EQ(sigaction(signo, &action, NULL), 0);
}

static void (*disposition_of(int signo))(int signo)
{
    struct sigaction now;
    EXPECT_EQ(sigaction(signo, NULL, &now), 0);
    return now.sa_handler;
}

TEST(each_signal_becomes_an_item)
{
    weft_queue *queue = queue_for(8);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, queue), 0);
    EXPECT_EQ(weft_signal_forward(SIGINT, queue), 0);
    raise(SIGUSR1);
    EXPECT_EQ(next(queue), SIGUSR1);
    EXPECT_EQ(kill(getpid(), SIGINT), 0);
    EXPECT_EQ(next(queue), SIGINT);
    EXPECT_EQ(weft_signal_stop(SIGINT), 0);
    raise(SIGUSR1);
    EXPECT_EQ(next(queue), SIGUSR1);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    EXPECT_EQ(weft_queue_count(queue), 0);
    weft_queue_close(queue);
}

TEST(what_cannot_be_forwarded_is_refused)
{
    const int refused[] = { -1,      0,      32,     33,     _NSIG,   INT32_MAX, SIGKILL, SIGSTOP,
                            SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS,    SIGABRT };
    weft_queue *queue = queue_for(1), *bytes;
    EXPECT_EQ(weft_queue_open(&bytes, 1, 1, 0), 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        EXPECT_EQ(weft_signal_forward(refused[i], queue), -EINVAL);
        EXPECT_EQ(weft_signal_stop(refused[i]), -ENOENT);
    }
    EXPECT_EQ(weft_signal_forward(SIGUSR1, bytes), -EINVAL);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, NULL), -EINVAL);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), -ENOENT);
    EXPECT_TRUE(disposition_of(SIGUSR1) == SIG_DFL);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, queue), 0);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, queue), -EBUSY);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), -ENOENT);
    weft_queue_close(bytes);
    weft_queue_close(queue);
}

TEST(every_other_signal_can_be_forwarded_at_once)
{
    weft_queue *queue = queue_for(_NSIG);
    bool forwarded[_NSIG] = { false };
    size_t n = 0;
    for (int signo = 1; signo < _NSIG; signo++) {
        forwarded[signo] = weft_signal_forward(signo, queue) == 0;
        n += forwarded[signo];
    }
    EXPECT_EQ(n, 31 - 9 + SIGRTMAX - SIGRTMIN + !HARNESS_VALGRIND); /* it keeps the last one */
    /* QEMU's user mode needs two, and lets a program's last two go nowhere. */
    int last = SIGRTMAX - (HARNESS_EMULATED ? 2 : 0);
    for (int signo = 1; signo <= last; signo++)
        if (forwarded[signo]) {
            raise(signo);
            EXPECT_EQ(next(queue), signo);
        }
    for (int signo = 1; signo < _NSIG; signo++)
        EXPECT_EQ(weft_signal_stop(signo), forwarded[signo] ? 0 : -ENOENT);
    weft_queue_close(queue);
}

static atomic_int own;

static void count_own(int signo)
{
    (void)signo;
    atomic_fetch_add(&own, 1);
}

TEST(stopping_restores_the_disposition_before)
{
    weft_queue *queue = queue_for(1);
    disposition(SIGUSR1, count_own);
    disposition(SIGUSR2, SIG_IGN);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, queue), 0);
    EXPECT_EQ(weft_signal_forward(SIGUSR2, queue), 0);
    raise(SIGUSR2);
    EXPECT_EQ(next(queue), SIGUSR2);
    EXPECT_EQ(weft_signal_stop(SIGUSR2), 0);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    EXPECT_EQ(atomic_load(&own), 0);
    raise(SIGUSR1);
    raise(SIGUSR2);
    EXPECT_EQ(atomic_load(&own), 1);
    EXPECT_EQ(weft_queue_count(queue), 0);
    weft_queue_close(queue);
}

TEST(a_handler_that_somebody_set_meanwhile_stays)
{
    weft_queue *queue = queue_for(1);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, queue), 0);
    disposition(SIGUSR1, count_own);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    raise(SIGUSR1);
    EXPECT_EQ(atomic_load(&own), 1);
    weft_queue_close(queue);
}

TEST(no_signal_of_a_burst_is_lost_when_the_queue_is_small)
{
    weft_queue *queue = queue_for(3);
    EXPECT_EQ(weft_signal_forward(SIGRTMIN, queue), 0);
    for (int i = 0; i < BURST; i++)
        raise(SIGRTMIN);
    for (int i = 0; i < BURST; i++)
        EXPECT_EQ(next(queue), SIGRTMIN);
    EXPECT_EQ(weft_signal_stop(SIGRTMIN), 0);
    EXPECT_EQ(weft_queue_count(queue), 0);
    weft_queue_close(queue);
}

TEST(a_full_queue_holds_up_no_other)
{
    weft_queue *full = queue_for(1), *other = queue_for(1);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, full), 0);
    EXPECT_EQ(weft_signal_forward(SIGUSR2, other), 0);
    for (int i = 0; i < 3; i++)
        raise(SIGUSR1);
    for (int i = 0; i < 3; i++) {
        raise(SIGUSR2);
        EXPECT_EQ(next(other), SIGUSR2);
    }
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(next(full), SIGUSR1);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    EXPECT_EQ(weft_signal_stop(SIGUSR2), 0);
    weft_queue_close(full);
    weft_queue_close(other);
}

TEST(stopping_drops_what_found_no_room_and_lets_go_of_the_queue)
{
    weft_queue *queue = queue_for(1);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, queue), 0);
    for (int i = 0; i < 3; i++)
        raise(SIGUSR1);
    UNTIL(weft_queue_count(queue) == 1);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    EXPECT_EQ(next(queue), SIGUSR1);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, queue), 0);
    raise(SIGUSR1);
    EXPECT_EQ(next(queue), SIGUSR1);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    EXPECT_EQ(weft_queue_count(queue), 0);
    weft_queue_close(queue);
}

TEST(signals_for_a_queue_that_is_shut_down_are_dropped)
{
    weft_queue *queue = queue_for(1), *other = queue_for(1);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, queue), 0);
    EXPECT_EQ(weft_signal_forward(SIGUSR2, other), 0);
    raise(SIGUSR1);
    UNTIL(weft_queue_count(queue) == 1);
    raise(SIGUSR1); /* it waits for room when the queue is shut down, or comes after that */
    weft_queue_shutdown(queue, true);
    raise(SIGUSR1);
    raise(SIGUSR2);
    EXPECT_EQ(next(other), SIGUSR2);
    EXPECT_EQ(weft_queue_count(queue), 0);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    EXPECT_EQ(weft_signal_stop(SIGUSR2), 0);
    weft_queue_close(queue);
    weft_queue_close(other);
}

TEST(a_signal_that_all_threads_block_comes_too)
{
    if (HARNESS_SANITIZED)
        SKIP("a sanitizer may keep a signal back until its thread calls the C library");
    sigset_t mask, now;
    weft_queue *queue = queue_for(1);
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &mask, NULL), 0);
    EXPECT_EQ(weft_signal_forward(SIGTERM, queue), 0);
    EXPECT_EQ(kill(getpid(), SIGTERM), 0);
    EXPECT_EQ(next(queue), SIGTERM);
    EXPECT_EQ(weft_signal_stop(SIGTERM), 0);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    EXPECT_TRUE(sigismember(&now, SIGTERM));
    EXPECT_EQ(kill(getpid(), SIGTERM), 0); /* stays pending: the default would end us */
    EXPECT_EQ(weft_queue_count(queue), 0);
    weft_queue_close(queue);
}

/* ---- in other strands */

enum { STRANDS = 4, ROUNDS = 200 };

static weft_event finish = WEFT_EVENT_INIT;
static weft_queue *shared;
static pthread_t threads[STRANDS];
static atomic_int ready;

/* To this thread, before it goes on; if it blocks the signal, as a worker may, to the program. */
static void send(int signo)
{
    sigset_t mask;
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    EXPECT_EQ(sigismember(&mask, signo) ? kill(getpid(), signo) : raise(signo), 0);
}

static void wait_for_finish(size_t index)
{
    threads[index] = pthread_self();
    atomic_fetch_add(&ready, 1);
    EXPECT_EQ(weft_event_wait(&finish, WEFT_FOREVER), 0);
}

TEST(a_wait_that_a_signal_interrupts_goes_on)
{
    shared = queue_for(1);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, shared), 0);
    struct strands *strands = strands_start(STRANDS, wait_for_finish);
    UNTIL(atomic_load(&ready) == STRANDS);
    strands_until_asleep(strands);
    for (int i = 0; i < ROUNDS; i++)
        EXPECT_EQ(pthread_kill(threads[i % STRANDS], SIGUSR1), 0);
    raise(SIGUSR1); /* theirs may be blocked */
    EXPECT_EQ(next(shared), SIGUSR1);
    EXPECT_EQ(strands_asleep(strands), STRANDS);
    weft_event_set(&finish);
    strands_join(strands);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    weft_queue_close(shared);
}

static void raise_some(size_t index)
{
    for (int i = 0; i < ROUNDS; i++)
        send(SIGRTMIN + (int)index);
}

/* ThreadSanitizer holds signals back while a thread is in a system call that it does not know, and
 * keeps one of each number: those that come to the program meanwhile are lost. What a thread sends
 * to itself comes at once; tasks cannot, as their workers block signals. */
static void needs_every_signal(void)
{
#if defined(__SANITIZE_THREAD__)
    bool keeps_one = true;
#elif defined(__has_feature)
    bool keeps_one = __has_feature(thread_sanitizer);
#else
    bool keeps_one = false;
#endif
    const char *strands = getenv("WEFT_TEST_STRANDS");
    if (keeps_one && strands && (strcmp(strands, "tasks") == 0 || strcmp(strands, "mixed") == 0))
        SKIP("ThreadSanitizer keeps one signal of each number");
}

TEST(strands_that_raise_at_the_same_time_are_all_heard)
{
    needs_every_signal();
    int heard[STRANDS] = { 0 };
    shared = queue_for(2);
    for (int i = 0; i < STRANDS; i++)
        EXPECT_EQ(weft_signal_forward(SIGRTMIN + i, shared), 0);
    struct strands *strands = strands_start(STRANDS, raise_some);
    for (int i = 0; i < STRANDS * ROUNDS; i++)
        heard[next(shared) - SIGRTMIN]++;
    strands_join(strands);
    for (int i = 0; i < STRANDS; i++) {
        EXPECT_EQ(heard[i], ROUNDS);
        EXPECT_EQ(weft_signal_stop(SIGRTMIN + i), 0);
    }
    EXPECT_EQ(weft_queue_count(shared), 0);
    weft_queue_close(shared);
}

static void forward_and_stop(size_t index)
{
    int signo = SIGRTMIN + (int)index, got;
    disposition(signo, SIG_IGN);
    for (int i = 0; i < ROUNDS; i++) {
        weft_queue *queue = queue_for(1);
        send(signo);
        EXPECT_EQ(weft_signal_forward(signo, queue), 0);
        send(signo);
        send(signo);
        EXPECT_EQ(weft_queue_get(queue, &got, WEFT_FOREVER), 0);
        EXPECT_EQ(got, signo);
        EXPECT_EQ(weft_signal_stop(signo), 0);
        weft_queue_close(queue);
    }
}

TEST(strands_may_forward_and_stop_at_the_same_time)
{
    strands_join(strands_start(STRANDS, forward_and_stop));
}

static void forward_cancelled(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_event_wait(&finish, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, shared), 0);
    send(SIGUSR1);
    UNTIL(weft_queue_count(shared) == 1);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
}

TEST(a_cancelled_strand_can_still_forward_and_stop)
{
    shared = queue_for(1);
    strands_must_be_cancellable();
    struct strands *strands = strands_start(1, forward_cancelled);
    strands_cancel_all(strands);
    strands_join(strands);
    EXPECT_EQ(next(shared), SIGUSR1);
    weft_queue_close(shared);
}

TEST(a_child_made_by_fork_is_told_that_nothing_is_forwarded_there)
{
    int status;
    weft_queue *queue = queue_for(1);
    EXPECT_EQ(weft_signal_forward(SIGUSR1, queue), 0);
    pid_t child = fork();
    if (child == 0) {
        raise(SIGUSR1);
        _exit(weft_signal_forward(SIGUSR2, queue) == -ECHILD && weft_signal_stop(SIGUSR1) == -ECHILD
                  ? 0
                  : 1);
    }
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(weft_queue_count(queue), 0);
    EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    weft_queue_close(queue);
}
