/* SPDX-License-Identifier: MIT */
/*
 * pool/auto.h: pools of kind auto: what their workers tell, the pilot that listens, and what the
 * files about it share (auto.c).
 */
#ifndef WEFT_POOL_AUTO_H
#define WEFT_POOL_AUTO_H

#include <time.h>

#include "pool/auto_decide.h"
#include "strand/runner.h"
#include "strand/thread.h"
#include "sync/signal.h"

struct strand;
struct worker;

enum { AUTO_WORKERS = 256, AUTO_LOOKED_AT = 64 };

enum gauge_state {
    GAUGE_NONE,     /* there is no such worker */
    GAUGE_AT_WORK,  /* there is */
    GAUGE_LEAVING,  /* it has seen that it is one too many */
    GAUGE_GIVEN_UP, /* it could not be opened, and is not tried again */
};

/* What can be seen of a worker from outside. Guarded by the pool's lock. */
struct gauge {
    enum gauge_state state;
    uint32_t life;         /* another one for each thread that has been this worker */
    int tid;               /* of the thread, 0: it has not begun. As are the next two */
    clockid_t clock;       /* its CPU time */
    struct strand *strand; /* it */
    int64_t busy_ns;       /* inside of calls, without the one that runs */
    int64_t since_ns;      /* since when that runs; 0: none does */
};

/* What was read of a worker last. */
struct reading {
    uint32_t life; /* 0: nothing */
    int64_t busy_ns, cpu_ns, delay_ns;
    uint64_t gil_ns;
    int64_t lock_ns;
};

struct pilot {
    struct thread_set thread; /* one */
    char name[32];            /* constant, its name */
    struct signal attention;  /* raised under the pool's lock: there is more to do than `base`
                                 workers can, or the pool is closing */
    struct signal over;       /* raised under it: there will be nothing more to decide */

    uint32_t base;     /* constant: workers at the beginning, and at least */
    bool preset;       /* constant: options.workers is what auto_open() thinks */
    uint32_t bound;    /* guarded by the pool's lock, as what follows: workers have lower numbers */
    uint32_t given_up; /* workers that could not be opened, of those below `bound` */
    uint32_t running;  /* workers inside of calls */
    uint32_t opened;   /* how many workers could be opened, when the last one could not */
    struct auto_state view;  /* what it has decided last */
    uint32_t cpus;           /* thousandths */
    bool quota;              /* they are a quota's */
    weft_pool *processes;    /* atomic; what calls have moved to; NULL: they have not. Constant once
                                it is set */
    const char *why_threads; /* calls cannot move; NULL: not known */

    struct auto_state state; /* its own, as what follows */
    struct reading readings[AUTO_LOOKED_AT];
    int64_t looked_ns;  /* when the last window ended */
    int64_t limits_ns;  /* when limits were looked at */
    int64_t refused_ns; /* when a thread was refused; 0: never */
    uint32_t refused;   /* how many workers there were then */
    uint32_t most;
    enum auto_limit limit;
};

/* How many workers it is to have. Under the lock. */
static inline uint32_t pilot_size(const struct pilot *pilot)
{
    return pilot->bound - pilot->given_up;
}

/* What these options ask for that only processes can do, in words; NULL: nothing. */
const char *auto_isolates(const weft_options *options);

/* ---- auto.c */

/* Opens what the options ask for: processes, or threads with a pilot. */
int auto_open(weft_pool *pool);

/* Ends the pilot of a pool that is closing. */
void auto_stop(weft_pool *pool);

/* When all calls have ended: they may have asked the pool for something to their end. Its processes
 * and the pilot's memory go. */
void auto_close(weft_pool *pool);

/* Whether there is more to do than the first workers can, or more workers than those. */
bool auto_needs_pilot(weft_pool *pool);

/* The pilot (auto_pilot.c); ctx: the pool. */
void auto_pilot_main(void *ctx);

/* ---- what workers and others tell the pilot, if the pool has one */

void auto_worker_begins(struct worker *worker);
void auto_worker_ends(struct worker *worker);

/* Whether the worker, which has no call, is one too many: then it must end. Under the lock. */
bool auto_retires(struct worker *worker);

/* It has been given up. */
void auto_worker_given_up(struct worker *worker);

/* A call of the worker's begins, or has ended, inside of no other. Under the lock. */
void auto_call_begins(struct worker *worker);
void auto_call_ends(struct worker *worker);

/* Something was queued, or taken out of the queue, or the pool is closing. Under the lock. */
void auto_queued(weft_pool *pool);
void auto_unqueued(weft_pool *pool);

/* Whether the pool is closing and nothing is queued. Under the lock. */
bool auto_is_over(const weft_pool *pool);

/* ---- auto_sample.c, for the pilot */

/* What has happened since the last time. */
void auto_look(weft_pool *pool, struct auto_sample *ret);

/* ---- auto_limits.c */

/* How many workers there may be, now that there are so many; and what says so. preset: it is not
 * the program that has set options->workers. */
uint32_t auto_most(const weft_options *options, bool preset, uint32_t workers,
                   enum auto_limit *ret_limit);

/* What follows "the most that" for a limit. */
const char *auto_limit_words(enum auto_limit limit);

/* ---- auto_move.c: calls that run in processes after all */

extern const struct runner_ops auto_ops;

/* Whether calls of the pool could run in processes, as far as is known. */
bool auto_can_move(weft_pool *pool);

/* Has calls run in processes from now on, also those that are queued, if they can. By the pilot. */
void auto_move(weft_pool *pool);

/* The pool of processes that calls have moved to; NULL: they have not. */
weft_pool *auto_processes(weft_pool *pool);

/* The same, if such a call, of a map, can, and the pool is not closing; NULL. */
weft_pool *auto_processes_for(weft_pool *pool, weft_fn *fn, const void *pointer);

#endif
