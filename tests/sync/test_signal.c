/* SPDX-License-Identifier: MIT */
/*
 * weft_event_post() in signal handlers: the handler interrupts strands at any instruction, also
 * inside the library while they hold what the post needs, and still no waiter is forgotten.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>

#include <weft/event.h>
#include <weft/lock.h>
#include <weft/semaphore.h>

#include "harness.h"
#include "strands.h"

#define ROUNDS (HARNESS_SANITIZED ? 300 : 3000)

static weft_event events[8]; /* neighbours, so that some share a bucket's fate */
static weft_semaphore permits = WEFT_SEMAPHORE_INIT(0);
static atomic_bool stop;
static atomic_int posts, woken;

static void post(int signo)
{
    int saved = errno;
    (void)signo;
    errno = 12345;
    atomic_fetch_add_explicit(&posts, 1, memory_order_relaxed);
    weft_event_post(&events[0]);
    if (errno != 12345)
        FAIL("post changed errno to %d", errno);
    errno = saved;
}

static void on(int signo)
{
    struct sigaction action = { .sa_handler = post };
    if (!HARNESS_SANITIZED)
        action.sa_flags = SA_RESTART; /* a system call that sleeps need not even return */
    EXPECT_EQ(sigaction(signo, &action, NULL), 0);
}

/* ThreadSanitizer runs a handler late: only when the thread next passes one of its hooks. */
static weft_deadline patience(void)
{
    return HARNESS_SANITIZED ? weft_after(10 * WEFT_MS) : WEFT_FOREVER;
}

TEST(a_post_in_a_handler_ends_the_wait_that_it_interrupts)
{
    on(SIGALRM);
    for (int i = 0; i < 50; i++) {
        weft_event_clear(&events[0]);
        struct itimerval soon = { .it_value.tv_usec = 200 };
        EXPECT_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
        int rc;
        while ((rc = weft_event_wait(&events[0], patience())) == -ETIMEDOUT && HARNESS_SANITIZED)
            ;
        EXPECT_EQ(rc, 0);
    }
}

static pthread_t hammer_thread;
static atomic_bool hammering;

/* Sets, clears, waits for and wakes events and others without a pause, in the bucket of the event
 * that the handler posts too: so the handler often finds that its own thread holds the guard. */
static void hammer(size_t index)
{
    (void)index;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* the worker of a task blocks it */
    hammer_thread = pthread_self();
    atomic_store(&hammering, true);
    while (!atomic_load(&stop)) {
        (void)!weft_event_wait(&events[0], weft_after(1));
        weft_event_set(&events[1]);
        weft_event_clear(&events[1]);
        (void)!weft_event_wait(&events[1], weft_after(1));
        (void)!weft_semaphore_acquire(&permits, weft_after(1));
    }
}

static void interrupt_hammer(void)
{
    EXPECT_EQ(pthread_kill(hammer_thread, SIGUSR1), 0);
}

/* ThreadSanitizer, which notes a signal for the stack on which it came, may forget one that came as
 * a task was switched to: then there must be another. */
static void interrupt_hammer_until_it_posts(void)
{
    int before = atomic_load(&posts);
    interrupt_hammer();
    for (int i = 1; atomic_load(&posts) == before; i++) {
        strands_yield();
        if (HARNESS_SANITIZED && i % 100 == 0)
            interrupt_hammer();
    }
}

static void wait_once(size_t index)
{
    (void)index;
    EXPECT_EQ(weft_event_wait(&events[0], WEFT_FOREVER), 0);
    atomic_fetch_add(&woken, 1);
}

TEST(a_post_finds_every_waiter_although_it_interrupts_one_that_holds_the_bucket)
{
    on(SIGUSR1);
    struct strands *hammers = strands_start(1, hammer);
    UNTIL(atomic_load(&hammering));
    for (int i = 0; i < ROUNDS / 10; i++) {
        struct strands *waiters = strands_start(2, wait_once);
        strands_until_asleep(waiters);
        interrupt_hammer_until_it_posts();
        weft_event_clear(&events[0]); /* the waiters return nevertheless */
        strands_join(waiters);
    }
    EXPECT_EQ(atomic_load(&woken), 2 * (ROUNDS / 10));
    atomic_store(&stop, true);
    strands_join(hammers);
}

TEST(posts_that_interrupt_sets_and_waits_of_the_same_event_lose_nothing)
{
    on(SIGUSR1);
    struct strands *hammers = strands_start(1, hammer);
    UNTIL(atomic_load(&hammering));
    for (int i = 0; i < ROUNDS; i++) {
        int rc, before = atomic_load(&posts);
        do {
            if (atomic_load(&posts) == before) /* else it has been posted, and must be seen */
                interrupt_hammer();
            rc = weft_event_wait(&events[0], patience());
        } while (rc == -ETIMEDOUT && HARNESS_SANITIZED);
        EXPECT_EQ(rc, 0);
        weft_event_clear(&events[0]);
        UNTIL(atomic_load(&posts) > i);
        weft_event_clear(&events[0]);
    }
    atomic_store(&stop, true);
    strands_join(hammers);
}
