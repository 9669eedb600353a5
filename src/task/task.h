/* SPDX-License-Identifier: MIT */
/*
 * task/task.h: the door of this room: tasks, which are coroutines with stacks of their own, run by
 * worker threads.
 *
 * A task's record lies at the top of its stack, with room beside it for what its maker needs to
 * keep as long. The memory has two holders, the running task and its maker; it is used again when
 * both have let go.
 */
#ifndef WEFT_TASK_TASK_H
#define WEFT_TASK_TASK_H

#include "park/strand.h"
#include "task/stack.h"
#include "task/timer.h"

struct worker;

struct task {
    struct strand strand;  /* first: park knows a task as a strand */
    void *sp;              /* of its stack while it does not run; NULL: before it and after it */
    struct worker *worker; /* constant from its start on: where it runs, or shall */
    struct task *next;     /* in whichever list it waits to run */
    struct timer timer;    /* own and its worker's: set while it sleeps until a deadline */
    bool timed;            /* own and its worker's: the timer is set */
    bool started;          /* its worker's: it has a stack in use */
    uint32_t holders;      /* of its memory */
    void (*body)(void *ctx);
    void *ctx;
    struct stack *stack; /* constant, as is beside */
    void *beside;        /* its maker's room; its stack begins below it */
    void *fiber[2];      /* a sanitizer's (annotate.h) */
};

/*
 * Makes sure that there are workers. Before the first task is made.
 * Returns  0; -EAGAIN, -ENOMEM, -EMFILE: no worker could be made; -EINVAL: WEFT_IO, WEFT_WORKERS or
 *          WEFT_GUARDS says nonsense; -ECHILD: in a child that the user forked.
 */
int task_prepare(void);

/*
 * Makes a task with a stack of so many bytes (0: the default) and beside_bytes of room, aligned to
 * 64, for the maker, who holds it. NULL: no memory.
 */
struct task *task_new(size_t stack_bytes, size_t beside_bytes, void **ret_beside);

/*
 * Starts the task: a worker will run body(ctx). The maker still holds it. A task that has started
 * very many lets them run for a while: their memory is still in the caches.
 */
void task_start(struct task *task, void (*body)(void *ctx), void *ctx);

/*
 * The same on the worker of that number, of task_workers(), where it stays; on another one if that
 * cannot be made.
 */
void task_start_on(struct task *task, unsigned number, void (*body)(void *ctx), void *ctx);

/* How many workers there may be. After task_prepare(). */
unsigned task_workers(void);

/* The number of the worker that runs the calling task; UINT_MAX: the caller is no task. */
unsigned task_worker(void);

/* Whether the worker of that number sleeps, at some moment; false if it was never made. And whether
   any does. */
bool task_worker_sleeps(unsigned number);
bool task_any_worker_sleeps(void);

/*
 * If the caller is a task and there are tasks here that have not started, lets the youngest run,
 * most likely its maker's own: it may end what the caller is about to wait for.
 */
void task_let_run(void);

/* The maker lets go of a task, started or not; *beside is gone. */
void task_release(struct task *task);

/* The most that may be asked for beside a task, so that an idle one needs no second page. */
enum { TASK_BESIDE_MAX = 1280 };

/* How tasks sleep and are woken (worker.c). */
extern const struct strand_ops task_ops;

#endif
