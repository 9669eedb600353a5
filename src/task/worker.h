/* SPDX-License-Identifier: MIT */
/*
 * task/worker.h: a thread that runs tasks: what the files of this room know of it.
 *
 *   deque   tasks that have not started, made here; other workers may steal them
 *   ready   tasks that have started here and can go on
 *   inbox   the same, put there by others; and tasks that shall start here
 *   timers  of the tasks that sleep here
 */
#ifndef WEFT_TASK_WORKER_H
#define WEFT_TASK_WORKER_H

#include "io/reactor.h"
#include "task/deque.h"
#include "task/task.h"

struct worker {
    struct deque deque;
    struct task *inbox
        __attribute__((aligned(64))); /* atomic: the last one put there comes first */
    uint32_t asleep;                  /* atomic: whoever swaps it from 1 to 0 wakes the reactor */
    unsigned number;                  /* constant, as is reactor */
    struct reactor *reactor;
    struct task *running /* own, as is the rest; NULL: the loop */
        __attribute__((aligned(64)));
    uint32_t turns;    /* atomic: how many more switches until the loop looks around */
    uint32_t rounds;   /* atomic: how often the loop has gone on with a task (hog.c) */
    bool started_last; /* whose turn it was last: of those that had not started */
    struct task *ready, **ready_end;
    struct task *ended; /* has left its stack for good; NULL: none */
    struct stack_cache stacks;
    struct timers timers;
    bool dozes;            /* counts as asleep (share.c) */
    int64_t old_since_ns;  /* since when its deque has not been empty (share.c); 0: it is */
    int64_t watch_ns;      /* how long it has slept as the watcher (share.c) */
    void *loop_sp;         /* the loop's stack while a task runs */
    int *error;            /* the thread's errno */
    void **exceptions;     /* the thread's C++ exception globals; NULL: no C++ here */
    void *fault_stack;     /* the kernel's alone to use (overflow.c); NULL: it had one */
    struct strand *thread; /* the record of the thread itself */
    void *fiber[2];        /* a sanitizer's (annotate.h), of the loop, */
    const void *loop_low;  /* as are these */
    size_t loop_bytes;
};

enum { WORKER_TURNS = 61 };

/* The calling thread's, if it is one; not while it is in a loop of its own (run.c). */
extern __thread struct worker *worker_current __attribute__((tls_model("initial-exec")));

/*
 * Makes the calling thread a worker: *worker is zeroed memory that stays for ever. exposed: a
 * foreign loop shall watch its reactor.
 * Returns  0; -ENOMEM; what reactor_open() says.
 */
int worker_init(struct worker *worker, unsigned number, bool exposed);

/* A task has ended, nobody stands on its stack: its worker lets go of it. */
void task_bury(struct task *task);

/*
 * Prepares a task's stack for the first time that it is gone on with. By its maker, whose
 * floating-point control words are what the task begins with, as a thread's are.
 */
void worker_lay_out(struct task *task);

/*
 * Runs what can run, until nothing can or `most` tasks were gone on with. Returns how many; by the
 * worker's thread.
 */
unsigned worker_run_ready(struct worker *worker, unsigned most);

/* Waits until something can run, or until the deadline. Returns how many ran already, as above. */
unsigned worker_sleep(struct worker *worker, weft_deadline deadline);

/* ---- for other ways to sleep (shared_wait.c) */

/* As strand_ops.sleep(), by the running task. */
void worker_sleep_task(struct task *task, weft_deadline deadline);

/* The running task leaves its stack until it is made ready. */
void worker_leave(struct task *task);

/* Makes a task that has left its stack, or is about to, ready: by its worker's thread. */
void worker_ready(struct task *task);

/* The same by any thread. */
void worker_pass(struct task *task);

#endif
