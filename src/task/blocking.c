/* SPDX-License-Identifier: MIT */
/*
 * task/blocking.c: the pool of threads for calls that block the thread they run in.
 *
 * A task leaves its job in a queue and parks; a thread of the pool runs the job, and ends the
 * task's wait. Threads are made when none is idle, up to THREADS_MAX; jobs beyond that wait in
 * turn. The thread that became idle last is used first, so that those that are not needed stay
 * idle, and end after IDLE_NS.
 *
 * A job usually lies on the stack of the task that waits for it. The wait is shielded: nothing can
 * end a foreign call, and until it has ended it may use what its argument points to. One that
 * nobody waits for (io/blocking.h) lies on the heap, and frees itself.
 *
 * A child that the program forks begins with no thread and no job: they have stayed behind.
 *
 * `guard` guards everything here. An idle thread sleeps on a word of its own, in its stack: whoever
 * takes it from the idle list gives it a job, wakes it by that word, and does not touch it again.
 */
#include <errno.h>
#include <pthread.h>

#include <weft/self.h>

#include "base/helper.h"
#include "io/blocking.h"
#include "park/park.h"

enum { THREADS_MAX = 512 };

#define IDLE_NS (10 * WEFT_S)

struct idler {
    struct list link;         /* guarded */
    struct blocking_job *job; /* guarded; NULL: none yet */
    uint32_t woken;
};

static struct guard guard;
static struct list jobs = LIST_INIT(jobs); /* that no thread has taken */
static struct list idle = LIST_INIT(idle); /* the one that became idle last comes first */
static unsigned threads;

/* A child that the program forked has none of the threads. */
static void after_fork(void)
{
    guard = (struct guard){ 0 };
    list_init(&jobs);
    list_init(&idle);
    threads = 0;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, after_fork);
}

static void idle_push(struct idler *idler)
{
    idler->link.prev = &idle;
    idler->link.next = idle.next;
    idle.next->prev = &idler->link;
    idle.next = &idler->link;
}

/* Sleeps until there is a job. NULL: none came, and the thread is counted out. */
static struct blocking_job *wait_for_job(void)
{
    struct idler idler = { .job = NULL };
    weft_deadline end = weft_after(IDLE_NS);
    guard_lock(&guard);
    struct list *first = list_pop_front(&jobs);
    if (!first)
        idle_push(&idler);
    guard_unlock(&guard);
    if (first)
        return CONTAINER(first, struct blocking_job, link);
    /* acquire: pairs with the release in give(); shows the job */
    while (!load_acquire(&idler.woken) && futex_wait(&idler.woken, 0, end) != -ETIMEDOUT) {
    }
    guard_lock(&guard);
    struct blocking_job *job = idler.job;
    if (!job) {
        list_remove(&idler.link);
        threads--;
    }
    guard_unlock(&guard);
    if (job)
        /* acquire: as above. Until then the giver may still be about to write the word. */
        while (!load_acquire(&idler.woken))
            futex_wait(&idler.woken, 0, WEFT_FOREVER);
    return job;
}

static int run(struct blocking_job *job)
{
    const weft_call call = { 0 };
    weft_fn *fn = (weft_fn *)(void (*)(void))job->fn; /* to be named, not called */
    struct trace_span span;
    trace_begin_call(&span, fn, &call);
    int result = job->fn(job->arg);
    trace_end_call(&span, fn, &call, -1, result);
    return result;
}

static void *thread_main(void *first)
{
    pthread_setname_np(pthread_self(), "weft-blocking");
    for (struct blocking_job *job = first; job; job = wait_for_job()) {
        struct strand *strand = job->strand;
        int result = run(job);
        hold_abandon(strand_self(), 0);
        if (!strand)
            continue; /* fn may have freed the job */
        job->result = result;
        park_end(strand); /* from here on the job is gone */
    }
    return NULL;
}

/*
 * Gives a job to an idle thread, or if there is none and the job may wait, to the next one that has
 * nothing to do. False: there is none.
 */
static bool give(struct blocking_job *job, bool may_wait)
{
    guard_lock(&guard);
    struct list *link = list_pop_front(&idle);
    struct idler *idler = link ? CONTAINER(link, struct idler, link) : NULL;
    bool queued = !idler && may_wait && threads;
    if (idler)
        idler->job = job;
    else if (queued)
        list_push_back(&jobs, &job->link);
    guard_unlock(&guard);
    if (!idler)
        return queued;
    store_release(&idler->woken, 1); /* pairs with the acquire in wait_for_job() */
    futex_wake(&idler->woken, 1);    /* by address: the idler may be gone */
    return true;
}

static bool count_in(void)
{
    guard_lock(&guard);
    bool room = threads < THREADS_MAX;
    threads += room;
    guard_unlock(&guard);
    return room;
}

/* The job has no thread and gets none. */
static void fail(struct blocking_job *job, int error)
{
    if (!job->strand) {
        job->dropped(job->arg, error);
        return;
    }
    job->result = error;
    park_end(job->strand);
}

/* A thread could not be made. If it would have been the only one, jobs that wait for it fail. */
static void count_out(int error)
{
    struct list stranded = LIST_INIT(stranded);
    guard_lock(&guard);
    if (--threads == 0)
        list_splice_back(&stranded, &jobs);
    guard_unlock(&guard);
    for (struct list *link; (link = list_pop_front(&stranded));)
        fail(CONTAINER(link, struct blocking_job, link), error);
}

static int try_new_thread(struct blocking_job *job)
{
    if (!count_in())
        return -EAGAIN;
    int rc = helper_start(thread_main, job);
    if (rc < 0)
        count_out(rc);
    return rc;
}

int blocking_try(struct blocking_job *job)
{
    job->strand = NULL;
    return give(job, false) ? 0 : try_new_thread(job);
}

static int place(struct blocking_job *job)
{
    if (give(job, false))
        return 0;
    int rc = try_new_thread(job);
    return rc == 0 || give(job, true) ? 0 : rc;
}

/* When the caller is about to sleep, so that the end of the job finds it waiting. */
static void hand_out(void *ctx)
{
    struct blocking_job *job = ctx;
    int rc = place(job); /* if that is 0, the job may be gone */
    if (rc < 0)
        fail(job, rc);
}

int blocking_start(struct blocking_job *job)
{
    job->strand = NULL;
    return place(job);
}

static int call_here(struct strand *self, int (*fn)(void *arg), void *arg)
{
    struct hold_away away;
    away.n = 0;
    hold_let_go(self, &away);
    int result = fn(arg);
    hold_take_back(self, &away);
    return result;
}

int weft_blocking(int (*fn)(void *arg), void *arg)
{
    struct strand *self = strand_self();
    if (!self->reactor)
        return call_here(self, fn, arg);
    struct blocking_job job = { .fn = fn, .arg = arg, .strand = self };
    (void)park_wait_then(NULL, 0, WEFT_FOREVER, PARK_SHIELDED | PARK_FOR_BLOCKING, hand_out, &job);
    return job.result;
}
