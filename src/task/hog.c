/* SPDX-License-Identifier: MIT */
/*
 * task/hog.c: a task that computes for long, or blocks its thread, is named on standard error.
 *
 * With WEFT_HOGS=ms in the environment, a thread looks at the workers every so many milliseconds.
 * A worker that it finds at the same turn twice, and not asleep, has run one task all the while.
 * The thread must not look at that task, which may end, with its memory, at any moment. So it sends
 * the worker's thread a signal, whose handler runs in the midst of the task, or finds that the turn
 * is over.
 *
 *     look: turn 7        look: turn 7            look: turn 7
 *     |                   |--signal--> named      |                (once)
 *     [ task ...............................................] leaves: turn 8
 *
 * The signal is the last real-time one that the program does not use when the first worker is made.
 * Workers have all other signals blocked. It may interrupt a call that the task is blocked in
 * (EINTR), which is why nobody is watched unless that is asked for.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/atomic.h"
#include "base/futex.h"
#include "base/helper.h"
#include "task/hog.h"
#include "task/report.h"
#include "task/share.h"

/* A worker that is looked at; for ever. */
struct watched {
    struct watched *next; /* constant, as are the next two */
    struct worker *worker;
    pthread_t thread;
    uint64_t turn;  /* the watching thread's: at its last look; 0: it slept */
    bool told;      /* likewise: the worker was asked about this turn */
    uint64_t asked; /* atomic: the turn that the handler shall tell of */
};

static unsigned limit_ms; /* constant once there are workers, as is the next; 0: nobody watches */
static int signo;
static struct watched *all; /* atomic: the newest first */
static __thread struct watched *own __attribute__((tls_model("initial-exec")));

/* A number that a worker's turn shares with no other near in time; never 0 in a turn. */
static uint64_t turn_of(const struct worker *worker)
{
    /* relaxed, both: a turn that is seen half is no turn that was seen before */
    return (uint64_t)load_relaxed(&worker->rounds) << 32 | load_relaxed(&worker->turns);
}

static void tell(const struct task *task)
{
    struct report report = { .n = 0 };
    report_task(&report, task);
    report_text(&report, " has kept its worker for more than ");
    report_number(&report, limit_ms);
    report_text(&report, " ms (weft_yield, weft_blocking)\n");
    report_write(&report);
}

static void on_signal(int number)
{
    int saved = errno;
    const struct worker *worker = worker_current;
    (void)number;
    /* relaxed: an old value is the number of a turn that is over */
    if (worker && worker->running && own && load_relaxed(&own->asked) == turn_of(worker))
        tell(worker->running);
    errno = saved;
}

/* By the watching thread. */
static void look(struct watched *watched)
{
    const struct worker *worker = watched->worker;
    uint64_t turn = turn_of(worker);
    if (load_relaxed(&worker->asleep) == WORKER_ASLEEP) /* relaxed: only the present matters */
        turn = 0;
    if (!turn || turn != watched->turn) {
        watched->turn = turn;
        watched->told = false;
        return;
    }
    if (watched->told)
        return;
    watched->told = true;
    store_relaxed(&watched->asked, turn); /* relaxed: the signal comes after it */
    (void)pthread_kill(watched->thread, signo);
}

__attribute__((noreturn)) static void *watch(void *ctx)
{
    (void)ctx;
    struct timespec pause = { .tv_sec = limit_ms / 1000, .tv_nsec = limit_ms % 1000 * WEFT_MS };
    pthread_setname_np(pthread_self(), "weft-hogs");
    for (;;) {
        nanosleep(&pause, NULL);
        /* acquire: pairs with the release in hog_watch(); shows what is constant */
        for (struct watched *it = load_acquire(&all); it; it = it->next)
            look(it);
    }
}

/* Takes a signal, if nobody uses it and it arrives: QEMU's user mode cannot send the last two. */
static bool take_signal(int number)
{
    struct sigaction present, action = { .sa_handler = on_signal };
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    if (sigaction(number, NULL, &present) < 0 || present.sa_handler != SIG_DFL ||
        sigaction(number, &action, NULL) < 0)
        return false;
    if (pthread_kill(pthread_self(), number) == 0)
        return true;
    (void)sigaction(number, &present, NULL);
    return false;
}

/* Takes the last real-time signal that the program does not use. False: there is none. */
static bool take_a_signal(void)
{
    for (signo = SIGRTMAX; signo >= SIGRTMIN; signo--)
        if (take_signal(signo))
            return true;
    return false;
}

int hog_prepare(void)
{
    const char *wish = getenv("WEFT_HOGS");
    char *end;
    if (!wish || limit_ms)
        return 0;
    long ms = strtol(wish, &end, 10);
    if (!*wish || *end || ms < 1 || ms > 60000)
        return -EINVAL;
    limit_ms = (unsigned)ms;
    int rc = take_a_signal() ? helper_start(watch, NULL) : -EAGAIN;
    if (rc < 0)
        limit_ms = 0;
    return rc;
}

void hog_watch(struct worker *worker)
{
    struct watched *watched = limit_ms ? malloc(sizeof *watched) : NULL;
    if (!watched)
        return; /* without memory it goes unwatched */
    *watched = (struct watched){ .worker = worker, .thread = pthread_self() };
    own = watched;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, signo);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    watched->next = load_relaxed(&all);                   /* relaxed: a first guess */
    while (!cas_release(&all, &watched->next, watched)) { /* pairs with the acquire in watch() */
    }
}
