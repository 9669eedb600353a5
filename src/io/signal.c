/* SPDX-License-Identifier: MIT */
/*
 * io/signal.c: signals as items of a queue.
 *
 * A handler may neither take a lock nor wait, so it only counts the signal and posts an event. A
 * thread, the ferry, carries what was counted into the queues. It goes in turns: it clears the
 * event, puts what it can, and waits until the event is set again or a queue that was full has
 * room.
 *
 *   counts[]         by anybody's handler up, by the ferry down
 *   subscriptions[]  guarded by `lock`, which the ferry holds during the first half of its turn
 *   calls            held through forward and stop: one of them at a time. Lock order: calls, lock
 *
 * Who changes a subscription waits until the ferry has begun another turn: from then on it knows of
 * the change, has its signal mask changed to fit, and does not touch a queue that was taken away.
 *
 * The ferry blocks all signals but those that are forwarded, so that there is always one thread
 * that takes them. Therefore the handler is there before the ferry unblocks a signal, and stays
 * until it blocks it again.
 *
 * Why no signal is forgotten: the handler counts, then posts; the ferry clears, then counts. If the
 * ferry reads too early to see the count, its clear came before the post, and the event ends its
 * wait.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <weft/condition.h>
#include <weft/lock.h>
#include <weft/scope.h>
#include <weft/select.h>
#include <weft/signal.h>

#include "base/atomic.h"
#include "base/helper.h"
#include "sync/queue.h"

struct subscription {
    weft_queue *queue; /* NULL: the signal is not forwarded */
    struct sigaction before;
};

static weft_lock calls = WEFT_LOCK_INIT;
static weft_lock lock = WEFT_LOCK_INIT;
static struct subscription subscriptions[_NSIG];
static uint32_t turns; /* guarded by lock: of the ferry */
static weft_condition turned = WEFT_CONDITION_INIT;
static uint32_t counts[_NSIG];
static weft_event stirred = WEFT_EVENT_INIT;
static int ferry_of; /* the id of the process that the ferry runs in; 0: none yet */

/* In any thread, whatever it is doing. */
static void on_signal(int signo)
{
    add_relaxed(&counts[signo], 1); /* relaxed: the post publishes it */
    weft_event_post(&stirred);
}

/* ---- the ferry */

/* Puts what was counted, as far as there is room. True: something is left. */
static bool put_some(int signo, weft_queue *queue)
{
    /* relaxed, both: see begin_turn() */
    for (uint32_t n = load_relaxed(&counts[signo]); n; n--) {
        if (weft_queue_put(queue, &signo, WEFT_NOW) == -ETIMEDOUT)
            return true;
        sub_relaxed(&counts[signo], 1); /* also when the queue is shut: dropped */
    }
    return false;
}

/* Lets in what is forwarded, and nothing else. Under the lock. */
static void set_mask(void)
{
    sigset_t mask;
    sigfillset(&mask);
    for (int signo = 1; signo < _NSIG; signo++)
        if (subscriptions[signo].queue)
            sigdelset(&mask, signo);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/* Puts what it can. Fills the cases to wait for: the event, and the queues that are full. */
static size_t begin_turn(weft_case cases[WEFT_CASES_MAX], int numbers[WEFT_CASES_MAX])
{
    size_t n = 1;
    cases[0] = (weft_case){ .op = WEFT_SET, .on.event = &stirred };
    weft_event_clear(&stirred);
    /* Its acquire pairs with the post that the clear has undone; shows what was counted. */
    (void)weft_event_is_set(&stirred);
    weft_lock_lock(&lock);
    set_mask();
    for (int signo = 1; signo < _NSIG; signo++) {
        weft_queue *queue = subscriptions[signo].queue;
        if (!queue || !put_some(signo, queue))
            continue;
        numbers[n] = signo;
        cases[n] = (weft_case){ .op = WEFT_PUT, .on.queue = queue, .item = &numbers[n] };
        n++;
    }
    turns++;
    weft_condition_notify(&turned, UINT32_MAX);
    weft_lock_release(&lock);
    return n;
}

static void *ferry_main(void *unused)
{
    weft_case cases[WEFT_CASES_MAX]; /* more than there are signals that can be forwarded */
    int numbers[WEFT_CASES_MAX];
    (void)unused;
    for (;;) {
        size_t n = begin_turn(cases, numbers);
        int which = weft_select(cases, n, WEFT_FOREVER);
        if (which > 0)
            sub_relaxed(&counts[numbers[which]], 1); /* relaxed: put, or dropped */
    }
    return NULL;
}

/* Makes the ferry, unless there is one. It begins with all blocked that can be forwarded. */
static int make_ferry(void)
{
    if (ferry_of)
        return 0;
    int rc = helper_start(ferry_main, NULL);
    if (rc == 0)
        store_relaxed(&ferry_of, getpid()); /* relaxed: of interest after a fork only */
    return rc;
}

/* ---- the calls */

static bool has_turned(void *seen)
{
    return turns != *(uint32_t *)seen;
}

/* Changes where a signal goes, and waits until the ferry knows. */
static void redirect(int signo, weft_queue *queue)
{
    weft_scope shield;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    weft_lock_lock(&lock);
    uint32_t seen = turns;
    subscriptions[signo].queue = queue;
    weft_event_set(&stirred);
    while (weft_condition_wait_for(&turned, &lock, has_turned, &seen, WEFT_FOREVER) < 0) {
    }
    weft_lock_release(&lock);
    weft_scope_leave(&shield);
}

static bool is_forwardable(int signo)
{
    switch (signo) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
    case SIGABRT:
        return false;
    default: /* between the two sorts lie those that the C library keeps for itself */
        return (signo > 0 && signo < 32) || (signo >= SIGRTMIN && signo <= SIGRTMAX);
    }
}

static int begin(int signo, weft_queue *ints)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK };
    if (subscriptions[signo].queue)
        return -EBUSY;
    int rc = make_ferry();
    if (rc < 0)
        return rc;
    store_relaxed(&counts[signo], 0); /* relaxed: it is not forwarded now */
    sigemptyset(&action.sa_mask);
    if (sigaction(signo, &action, &subscriptions[signo].before) < 0)
        return -errno;
    redirect(signo, ints);
    return 0;
}

static int end(int signo)
{
    struct sigaction now;
    if (!subscriptions[signo].queue)
        return -ENOENT;
    redirect(signo, NULL);
    if (sigaction(signo, NULL, &now) == 0 && now.sa_handler == on_signal)
        sigaction(signo, &subscriptions[signo].before, NULL);
    return 0;
}

/* In a child made by fork() there is no ferry, and the locks may be held by nobody. */
static bool is_in_fork(void)
{
    int pid = load_relaxed(&ferry_of); /* relaxed: a fork is one order */
    return pid && pid != getpid();
}

int weft_signal_forward(int signo, weft_queue *ints)
{
    if (!is_forwardable(signo) || !ints || queue_item_bytes(ints) != sizeof(int))
        return -EINVAL;
    if (is_in_fork())
        return -ECHILD;
    weft_lock_lock(&calls);
    int rc = begin(signo, ints);
    weft_lock_release(&calls);
    return rc;
}

int weft_signal_stop(int signo)
{
    if (!is_forwardable(signo))
        return -ENOENT;
    if (is_in_fork())
        return -ECHILD;
    weft_lock_lock(&calls);
    int rc = end(signo);
    weft_lock_release(&calls);
    return rc;
}
