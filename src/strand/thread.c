/* SPDX-License-Identifier: MIT */
/*
 * strand/thread.c: threads that weft makes, and the runner that starts one for each call.
 *
 * Every thread is joined, so that when a group is closed its threads, with their stacks and their
 * thread-locals, are gone. A thread moves itself to the `ended` list as its last act; the next
 * start joins what is there, so that a group that starts a million threads one after the other does
 * not collect a million dead ones. Whoever joins all waits for the last one to move itself, and
 * only then for the kernel: a task must not keep its worker's thread from others.
 *
 * A thread inherits the signal mask of the strand that starts it, like any pthread.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "strand/future.h"
#include "strand/self.h"
#include "strand/thread.h"
#include "sync/lock.h"

enum { ENDED_KEPT = 8 };

struct thread {
    struct list link; /* guarded by the set's lock */
    pthread_t handle;
    struct thread_set *set;
    uint64_t number;
    void (*body)(void *ctx);
    void *ctx;
};

void thread_set_init(struct thread_set *set, const char *name, size_t stack_bytes)
{
    *set = (struct thread_set){ .name = name, .stack_bytes = stack_bytes };
    list_init(&set->live);
    list_init(&set->ended);
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    struct thread_set *set = thread->set;
    self_set_numbered_name(set->name, thread->number);
    thread->body(thread->ctx);
    locals_drop(strand_self());
    lock_inner(&set->lock);
    list_remove(&thread->link);
    list_push_back(&set->ended, &thread->link);
    set->ended_count++;
    if (list_empty(&set->live))
        signal_raise(&set->gone, UINT32_MAX);
    weft_lock_release(&set->lock);
    return NULL;
}

/* Takes the first thread that has ended, if more than so many have; NULL: there is none. */
static struct thread *take_ended(struct thread_set *set, unsigned but)
{
    struct list *link = NULL;
    lock_inner(&set->lock);
    if (set->ended_count > but) {
        link = list_pop_front(&set->ended);
        set->ended_count--;
    }
    weft_lock_release(&set->lock);
    return link ? CONTAINER(link, struct thread, link) : NULL;
}

static void join(struct thread *thread)
{
    pthread_join(thread->handle, NULL);
    free(thread);
}

static void join_ended(struct thread_set *set, unsigned but)
{
    for (struct thread *thread; (thread = take_ended(set, but));)
        join(thread);
}

/* pthread_create with the set's stack size; 0 or a negative errno value. */
static int create(struct thread_set *set, struct thread *thread)
{
    pthread_attr_t attributes;
    int rc = pthread_attr_init(&attributes);
    if (rc)
        return -rc;
    if (set->stack_bytes)
        rc = pthread_attr_setstacksize(&attributes, set->stack_bytes);
    if (rc == 0)
        rc = pthread_create(&thread->handle, &attributes, thread_main, thread);
    pthread_attr_destroy(&attributes);
    return -rc;
}

int thread_start(struct thread_set *set, void (*body)(void *ctx), void *ctx)
{
    join_ended(set, ENDED_KEPT);
    struct thread *thread = malloc(sizeof *thread);
    if (!thread)
        return -ENOMEM;
    *thread = (struct thread){ .set = set, .body = body, .ctx = ctx };
    list_init(&thread->link);
    /* Under the lock, so that the thread is in the list, with its handle, before it can end. */
    lock_inner(&set->lock);
    thread->number = set->started;
    int rc = create(set, thread);
    if (rc == 0) {
        set->started++;
        list_push_back(&set->live, &thread->link);
    }
    weft_lock_release(&set->lock);
    if (rc < 0)
        free(thread);
    return rc;
}

static int attempt_gone(void *ctx)
{
    struct thread_set *set = ctx;
    lock_inner(&set->lock);
    int rc = list_empty(&set->live) ? 0 : -EAGAIN;
    weft_lock_release(&set->lock);
    return rc;
}

void thread_set_join(struct thread_set *set)
{
    struct strand *self = strand_self();
    struct hold_away away;
    (void)signal_wait(&set->gone, attempt_gone, set, WEFT_FOREVER,
                      PARK_SHIELDED | PARK_FOR_STRANDS);
    /* The destructors of the program's own keys run last, and may want what the joiner holds. */
    away.n = 0;
    hold_let_go(self, &away);
    join_ended(set, 0);
    hold_take_back(self, &away);
}

struct thread_runner {
    struct runner runner;
    struct thread_set threads;
};

static void run(void *future)
{
    future_run(future);
}

static int start(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    (void)deadline;
    return thread_start(&((struct thread_runner *)runner)->threads, run, future);
}

static void close_runner(struct runner *runner)
{
    struct thread_runner *self = (struct thread_runner *)runner;
    thread_set_join(&self->threads);
    free(self);
}

static const struct runner_ops thread_runner_ops = { .start = start, .close = close_runner };

int thread_runner_open(struct runner **ret, const weft_options *options)
{
    if (options->stack_bytes && options->stack_bytes < (size_t)PTHREAD_STACK_MIN)
        return -EINVAL;
    struct thread_runner *self = malloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->runner.ops = &thread_runner_ops;
    thread_set_init(&self->threads, options->name, options->stack_bytes);
    *ret = &self->runner;
    return 0;
}
