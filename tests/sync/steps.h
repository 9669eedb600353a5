/* SPDX-License-Identifier: MIT */
/*
 * A process is killed between two instructions of an operation on something in shared memory, at
 * one place after the other, and each time the others, who wait for the same, go on.
 *
 * The operation is gone through step by step (ptrace). First to its end, which counts the steps;
 * then, each time by another process, up to PLACES places spread over it, or WEFT_STEPS of them.
 * Those who wait are threads of the test.
 */
#ifndef TESTS_SYNC_STEPS_H
#define TESTS_SYNC_STEPS_H

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft.h>

#include "harness.h"
#include "strands.h"

enum { WAITERS = 2, PLACES = HARNESS_SANITIZED ? 10 : 40 };

/* What is gone through. */
struct operation {
    void (*prepare)(void);        /* by the test, before anybody waits; NULL: nothing */
    int (*wait)(weft_call *call); /* by each of those who wait; NULL: there is none */
    void (*run)(void);            /* by the process that dies */
    void (*go_on)(void);          /* by the test: lets those who wait end */
};

static struct {
    const struct operation *operation;
    atomic_bool ready, go, began, done, dead;
    atomic_int waiting, ended;
    weft_lock lock;
    weft_rlock rlock;
    weft_condition changed;
    weft_semaphore permits;
    weft_event event;
    weft_barrier barrier;
    weft_once once;
    weft_queue *queue;
    int pair[2]; /* guarded by lock, or rlock: equal */
    bool is_so;  /* guarded by lock */
} * shared;
STRANDS_KEEP(shared)

/* ---- the process that dies */

static inline void run_operation(size_t index)
{
    (void)index;
    atomic_store(&shared->ready, true);
    while (!atomic_load(&shared->go))
        strands_yield();
    atomic_store(&shared->began, true);
    shared->operation->run();
    atomic_store(&shared->done, true);
    for (;;)
        pause();
}

/* Lets a stopped process make one step. */
static inline void make_step(pid_t pid)
{
    int status;
    EXPECT_EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    EXPECT_EQ(waitpid(pid, &status, __WALL), pid);
    EXPECT_TRUE(WIFSTOPPED(status));
}

static inline void stop(pid_t pid)
{
    int status;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
        SKIP("this system does not let one process watch another");
    EXPECT_EQ(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
    EXPECT_EQ(waitpid(pid, &status, __WALL), pid);
}

/* Goes so far through the operation, or to its end, and kills the process. How many steps. */
static inline unsigned long go_and_kill(struct strands *process, unsigned long steps_max)
{
    int status;
    unsigned long steps = 0;
    pid_t pid = strands_pid(process, 0);
    UNTIL(atomic_load(&shared->ready));
    stop(pid);
    atomic_store(&shared->go, true);
    while (!atomic_load(&shared->began))
        make_step(pid);
    for (; steps < steps_max && !atomic_load(&shared->done); steps++)
        make_step(pid);
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_EQ(waitpid(pid, &status, __WALL), pid);
    strands_kill(process, 0);
    strands_join(process);
    return steps;
}

/* ---- those who wait */

static inline weft_group *start_waiters(void)
{
    weft_group *waiters;
    EXPECT_EQ(weft_group_open(&waiters, WEFT_THREADS, NULL), 0);
    for (int i = 0; i < WAITERS && shared->operation->wait; i++)
        EXPECT_EQ(weft_group_start(waiters, shared->operation->wait, NULL, 0), 0);
    UNTIL(!shared->operation->wait || atomic_load(&shared->waiting) == WAITERS);
    return waiters;
}

static inline unsigned long die_after(const struct operation *operation, unsigned long steps)
{
    memset(shared, 0, sizeof *shared);
    shared->operation = operation;
    if (operation->prepare)
        operation->prepare();
    struct strands *process = strands_start(1, run_operation);
    weft_group *waiters = start_waiters();
    steps = go_and_kill(process, steps);
    atomic_store(&shared->dead, true);
    operation->go_on();
    EXPECT_EQ(weft_group_join(waiters, WEFT_FOREVER), 0);
    weft_group_close(waiters);
    weft_queue_close(shared->queue);
    return steps;
}

static inline void die_everywhere(const struct operation *operation)
{
#if !defined(__x86_64__)
    SKIP("a step may not end inside a pair of instructions that make an atomic one");
#endif
    strands_must_be_processes();
    unsigned long all = die_after(operation, UINT32_MAX);
    EXPECT_GT(all, 10);
    const char *wish = getenv("WEFT_STEPS");
    unsigned long places = wish ? strtoul(wish, NULL, 10) : PLACES;
    unsigned long stride = all / (places ? places : PLACES) + 1;
    for (unsigned long steps = 0; steps < all; steps += stride)
        (void)die_after(operation, steps);
    printf("%lu steps\n", all);
}

static inline bool all_ended(void)
{
    return atomic_load(&shared->ended) == WAITERS;
}

#endif
