/* SPDX-License-Identifier: MIT */
/*
 * What the tests of deaths share: processes that are killed while they hold, wait for, or were just
 * given something in shared memory.
 *
 * "Was just given": the first to sleep runs on the test's own CPU, and only while nobody else wants
 * that (SCHED_IDLE). What the test gives takes it out of the sleepers, and it is killed before it
 * comes to run. If it does run, for once, and takes it, the test gives one more, but only when all
 * others sleep and there is nothing left that they could take.
 */
#ifndef TESTS_SYNC_DYING_H
#define TESTS_SYNC_DYING_H

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft.h>

#include "harness.h"
#include "strands.h"

#define N 4

static struct {
    weft_lock lock;
    weft_rlock rlock;
    weft_condition changed;
    weft_semaphore permits;
    weft_event event, never;
    weft_barrier barrier;
    weft_once once;
    weft_queue *queue;
    int counter; /* guarded by lock */
    void (*slow)(size_t index);
    int cpu;
    atomic_int got, told, passed, broken, runs;
} * shared;
STRANDS_KEEP(shared)

static inline void sleep_for_ever(void)
{
    for (;;)
        (void)!weft_event_wait(&shared->never, WEFT_FOREVER);
}

/* Starts a process that has done its part when it sleeps. */
static inline struct strands *start_one(void (*fn)(size_t index))
{
    strands_must_be_processes();
    struct strands *one = strands_start(1, fn);
    strands_until_asleep(one);
    return one;
}

static inline void be_on_one_cpu(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(shared->cpu, &set);
    EXPECT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
}

static inline void be_slow(size_t index)
{
    be_on_one_cpu();
    /* The system call itself: musl's function always fails, as POSIX means it for all threads. */
    EXPECT_EQ(syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &(struct sched_param){ 0 }), 0);
    shared->slow(index);
    sleep_for_ever();
}

/* N that wait, the first of which sleeps before the others, and is slow to wake up. */
static inline void start_line(struct strands *ret_line[2], void (*fn)(size_t index))
{
    shared->slow = fn;
    shared->cpu = sched_getcpu();
    be_on_one_cpu();
    ret_line[0] = start_one(be_slow);
    ret_line[1] = strands_start(N - 1, fn);
    strands_until_asleep(ret_line[1]);
}

static inline void kill_one(struct strands *one)
{
    strands_kill(one, 0);
    strands_join(one);
}

/* Gives something to the first of a line, which dies of it, and then as much as the others need. */
static inline void give_and_kill(struct strands *line[2], void (*give)(void), size_t (*left)(void))
{
    give();
    kill_one(line[0]);
    for (int i = 0; i < N - 2; i++)
        give();
    while (strands_ended(line[1]) < N - 1) {
        bool nothing_left = left() == 0;
        if (nothing_left && strands_asleep(line[1]) == N - 1 - strands_ended(line[1]))
            give();
        strands_yield();
    }
    strands_join(line[1]);
}

#endif
