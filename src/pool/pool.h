/* SPDX-License-Identifier: MIT */
/*
 * pool/pool.h: what the files of this room share: the pool, its workers, and the door between the
 * pool and its back ends.
 *
 * A pool of threads or tasks is a queue of futures and a set of workers that take from it. A pool
 * of processes is a crew (crew.h), and has none of that. Kind serial has no workers: its runner is
 * serial.c.
 */
#ifndef WEFT_POOL_POOL_H
#define WEFT_POOL_POOL_H

#include <weft/pool.h>
#include <weft/rlock.h>

#include "pool/auto.h"
#include "strand/future.h"
#include "strand/options.h"
#include "strand/task.h"
#include "strand/thread.h"
#include "sync/signal.h"

struct crew;
struct places;
struct worker;

enum { POOL_WORKERS_MAX = 4096 };

/* Why a worker could not open. */
struct open_failure {
    int error;
    char text[160];
};

/* The door of a back end. All functions are called by the worker's own thread. */
struct pool_backend {
    /* Makes the worker ready for calls (enter). Returns 0; an error, with *ret_failure set. */
    int (*open)(struct worker *worker, struct open_failure *ret_failure);

    /* Runs and ends a future; takes the runner's reference. The worker is open. */
    void (*run)(struct worker *worker, weft_future *future);

    /* After the last call (leave). The worker is open, or lost what ran its calls. */
    void (*close)(struct worker *worker);

    /* Calls run in the worker's thread, so one may run another while it would wait for it. */
    bool nests;
};

extern const struct pool_backend threads_backend;

/* A call that a worker runs: on the stack of whoever runs it. */
struct running {
    weft_future *future;   /* with a reference */
    struct running *outer; /* the call that this one runs inside of */
    bool stopping;         /* guarded by the pool's lock: terminate has cancelled it */
};

struct worker {
    weft_pool *pool;
    uint32_t number;
    uint32_t calls;          /* own: since it was opened */
    bool lost;               /* own: what ran its calls is gone; it must be opened again */
    const char *middle;      /* own: of the stack that it runs on; NULL: not known */
    void *state;             /* own: what enter gave (serial, threads) */
    struct running *running; /* guarded by the pool's lock: what it runs, innermost first */
    struct gauge gauge;      /* the same, kind auto: what can be seen of it */
};

struct weft_pool {
    struct runner runner;      /* first: groups and maps know a pool as a runner. Constant after
                                  open, as are the next six */
    struct future_owner owner; /* of what is submitted by itself */
    weft_kind kind;
    weft_options options;
    const struct pool_backend *backend;
    struct crew *crew;   /* kind processes: instead of all that workers need */
    struct pilot *pilot; /* kind auto: sees to it that there are as many workers as are needed */
    struct worker *workers;
    struct thread_set threads; /* its workers, but of kind tasks */
    struct task_set tasks;     /* the workers of kind tasks */
    struct places *places;     /* of kind tasks: the idle ones; else NULL */
    weft_lock lock;            /* guards what follows */
    struct list queue;         /* of futures, by queue_link, each with the runner's reference */
    uint32_t queued;
    uint32_t usable;             /* workers that have not been given up */
    bool closing;                /* nothing new; workers end when the queue is empty */
    bool terminated;             /* what is still about to run is cancelled */
    struct open_failure failure; /* why the last worker was given up, when usable is 0 */
    uint64_t next_index;         /* atomic, not guarded */
    uint32_t live;               /* submitted by themselves and not ended, and maps */
    struct signal drained;       /* raised under the lock: live is 0 */
    struct signal work;          /* raised when there is something to take, or closing; but of kind
                                    tasks */
    struct signal room;          /* raised when the backlog has room, or closing */
    weft_rlock one;              /* kind serial: held while a call runs */
};

/*
 * Begins a call in the calling strand and fills in what it finds in a pool: context, worker state,
 * the worker's number. False: it was cancelled, and the runner's reference is gone.
 */
bool pool_begin(struct worker *worker, weft_future *future);

/* Runs and ends a future on a worker. Takes the runner's reference. */
void pool_run(struct worker *worker, weft_future *future);

/*
 * The same while a call of the worker's waits, which is the calling strand's. If there is too
 * little stack left, on another strand; if there can be none, the future fails.
 */
void pool_run_inside(struct worker *worker, weft_future *future);

/* Runs enter, if there is one, in the calling strand; *ret_failure is set on failure. */
int pool_enter(struct worker *worker, struct open_failure *ret_failure);

/* Ends a future that no worker will ever run. Takes the runner's reference. */
void pool_fail(weft_future *future, const struct open_failure *failure);

/*
 * Queues a future in the place of one that has just ended, whatever the backlog. Takes the runner's
 * reference. Returns 0; -EPIPE: closing. Never waits. Not for kind serial.
 */
int pool_requeue(weft_pool *pool, weft_future *future);

/* Kinds threads and tasks. */
extern const struct runner_ops pool_ops;

/* Makes room for all workers, and starts the first; on failure none is left. */
int pool_start_workers(weft_pool *pool);
void pool_abandon_workers(weft_pool *pool);
int pool_start_worker(weft_pool *pool, struct worker *worker);

/* Counts a worker out. The last one fails everything that is queued. */
void pool_give_up(weft_pool *pool, const struct open_failure *failure);

/* Kind processes (processes.c). */
extern const struct runner_ops pool_processes_ops;
int pool_processes_open(weft_pool *pool);

/* Kind serial (serial.c). */
extern const struct runner_ops pool_serial_ops;
int pool_serial_open(weft_pool *pool);
void pool_serial_close(weft_pool *pool);

/*
 * What uses the pool, from within a function of the pool that anybody may call: closing it waits
 * until it is counted out. The pool may be gone after that.
 */
void pool_count_in(weft_pool *pool);
void pool_count_out(weft_pool *pool);

/* How many workers it has; 1 for kind serial. */
uint32_t pool_workers(const weft_pool *pool);

#endif
