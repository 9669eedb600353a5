/* SPDX-License-Identifier: MIT */
/*
 * task/runtime.c: the workers of the program: made when they are first needed, one after the other
 * as work for them turns up, and there until the program ends. Those that have nothing to do sleep.
 *
 * There are as many as CPUs that the program may use, up to WORKERS_MAX, or as WEFT_WORKERS says.
 * `guard` guards the making; a worker opens its reactor in its own thread, and says how that went.
 *
 * A program that runs tasks in its own loop (weft_run_once) has one worker, which is the thread
 * that asked first.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <weft/program.h>
#include <weft/self.h>

#include "base/cpus.h"
#include "base/helper.h"
#include "task/hog.h"
#include "task/overflow.h"
#include "task/runtime.h"
#include "task/share.h"

static struct guard guard;
static unsigned made;     /* guarded: workers, and those being made */
static unsigned most;     /* guarded: how many there may be; 0: not yet known */
static uint32_t prepared; /* atomic: 1: there is a worker */
static uint32_t broken;   /* atomic: 1: the workers have stayed behind in the parent of a fork */

/* The calling thread's, if it runs the program's tasks in its own loop. */
static __thread struct worker *embedded __attribute__((tls_model("initial-exec")));

/* A worker on its way. */
struct making {
    struct worker *worker;
    unsigned number;
    uint32_t said; /* atomic: 1: result is there, and the maker may go on */
    int result;
};

/* In a child that the user forked. Its only thread may be inside a task, with others waiting to run
   in this memory: from here on it is a thread, which blocks when it waits, and has what that task
   held. */
static void after_fork(void)
{
    const struct strand *task = strand_current;
    if (!made)
        return;
    store_relaxed(&broken, 1); /* relaxed: the child has one thread */
    if (!worker_current)
        return;
    worker_current = NULL;
    strand_renew();
    if (task)
        strand_inherit(task);
}

/* WEFT_WORKERS, or as many as CPUs. Returns -EINVAL for nonsense. */
static int count_workers(void)
{
    const char *wish = getenv("WEFT_WORKERS");
    if (!wish) {
        unsigned cpus = base_cpus();
        return cpus < WORKERS_MAX ? (int)cpus : WORKERS_MAX;
    }
    char *end;
    long n = strtol(wish, &end, 10);
    return *wish && !*end && n >= 1 && n <= WORKERS_MAX ? (int)n : -EINVAL;
}

static struct worker *worker_new(void)
{
    struct worker *worker = aligned_alloc(64, (sizeof *worker + 63) & ~(size_t)63);
    if (worker)
        *worker = (struct worker){ 0 };
    return worker;
}

static void *worker_main(void *ctx)
{
    struct making *making = ctx;
    struct worker *worker = making->worker;
    pthread_setname_np(pthread_self(), "weft-worker");
    int rc = overflow_watch(worker);
    if (rc == 0)
        rc = worker_init(worker, making->number, false);
    if (rc < 0)
        overflow_unwatch(worker);
    making->result = rc;
    store_release(&making->said, 1); /* pairs with the acquire in make() */
    futex_wake(&making->said, 1);    /* by address: the maker may be gone */
    if (rc < 0)
        return NULL;
    hog_watch(worker);
    for (;;) {
        while (worker_run_ready(worker, UINT32_MAX)) {
        }
        (void)worker_sleep(worker, WEFT_FOREVER);
    }
}

/* Makes one more worker, and waits until it is there. Under the lock. */
static int make(void)
{
    struct making making = { .worker = worker_new(), .number = made };
    if (!making.worker)
        return -ENOMEM;
    int rc = helper_start(worker_main, &making);
    if (rc == 0) {
        while (!load_acquire(&making.said)) /* pairs with the release in worker_main() */
            futex_wait(&making.said, 0, WEFT_FOREVER);
        rc = making.result;
    }
    if (rc < 0)
        free(making.worker);
    else
        made++;
    return rc;
}

static bool make_another(void)
{
    guard_lock(&guard);
    bool there = made < most && make() == 0; /* else do with those that there are, for now */
    guard_unlock(&guard);
    return there;
}

/* What is done once, before the first worker. Under the lock. */
static int install(int workers_max)
{
    static bool installed;
    if (workers_max < 0)
        return workers_max;
    most = (unsigned)workers_max;
    share_init(most, make_another);
    if (installed)
        return 0;
    int rc = stack_prepare();
    if (rc == 0)
        rc = hog_prepare();
    if (rc == 0)
        rc = overflow_install();
    if (rc == 0)
        rc = -pthread_atfork(NULL, NULL, after_fork);
    installed = rc == 0;
    return rc;
}

/* Under the lock. */
static int prepare(void)
{
    int rc = install(count_workers());
    return rc < 0 ? rc : make();
}

int task_prepare(void)
{
    if (load_relaxed(&broken)) /* relaxed: written where there was one thread */
        return -ECHILD;
    if (load_acquire(&prepared)) /* pairs with the release below */
        return 0;
    guard_lock(&guard);
    int rc = made ? 0 : prepare();
    if (rc == 0)
        store_release(&prepared, 1); /* pairs with the acquire above */
    guard_unlock(&guard);
    return rc;
}

/* Under the lock. */
static int embed(void)
{
    struct worker *worker = worker_new();
    if (!worker)
        return -ENOMEM;
    int rc = install(1);
    if (rc == 0)
        rc = overflow_watch(worker);
    if (rc == 0)
        rc = worker_init(worker, 0, true);
    if (rc < 0) {
        overflow_unwatch(worker);
        free(worker);
        return rc;
    }
    made = 1;
    embedded = worker;
    worker_current = NULL; /* until run.c says otherwise */
    return 0;
}

int runtime_embed(struct worker **ret)
{
    if (load_relaxed(&broken)) /* relaxed: written where there was one thread */
        return -ECHILD;
    guard_lock(&guard);
    int rc = made ? 0 : embed();
    if (rc == 0)
        store_release(&prepared, 1); /* pairs with the acquire in task_prepare() */
    guard_unlock(&guard);
    if (rc == 0 && !embedded)
        rc = -EBUSY;
    if (rc == 0)
        *ret = embedded;
    return rc;
}
