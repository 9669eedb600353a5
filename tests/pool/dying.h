/* SPDX-License-Identifier: MIT */
/*
 * Ways in which a worker process may end in the middle of something, and what its pool must say of
 * each. The numbers stand in arguments of calls, so that a call can be told to die.
 */
#ifndef TESTS_POOL_DYING_H
#define TESTS_POOL_DYING_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/call.h>

#include "harness.h"

enum way {
    LIVE,
    EXIT_0,      /* exit(0), which is no success either */
    EXIT_3,      /* exit(3), with all that a program has to do at its end */
    EXIT_7,      /* _exit(7) */
    ABORT,       /* abort() */
    SEGFAULT,    /* a pointer to nowhere */
    OVERFLOW,    /* a recursion without end */
    KILL_ITSELF, /* SIGKILL */
    TERMINATE,   /* SIGTERM to itself */
    WAYS,
};

/* The signal that ends a process in this way; 0: it exits. */
static inline int signal_of(enum way way)
{
    static const int signals[WAYS] = {
        [ABORT] = SIGABRT,       [SEGFAULT] = SIGSEGV,  [OVERFLOW] = SIGSEGV,
        [KILL_ITSELF] = SIGKILL, [TERMINATE] = SIGTERM,
    };
    return signals[way];
}

static inline int exit_code_of(enum way way)
{
    return way == EXIT_3 ? 3 : way == EXIT_7 ? 7 : 0;
}

/* A pointer to nowhere that no compiler sees through. */
static inline void *nowhere(void)
{
    void *volatile pointer = (void *)16;
    return pointer;
}

/* Uses the stack after the inner call, too, or a compiler would make a loop of it. */
__attribute__((noinline)) static int recur(volatile int *depth)
{
    volatile char frame[1024];
    frame[(unsigned)*depth % sizeof frame] = 1;
    if (++*depth == 0)
        return 0;
    return recur(depth) + frame[(unsigned)*depth % sizeof frame];
}

/* Returns for LIVE only. A sanitizer would make exits of the signals that it handles. */
static inline void die_by(enum way way)
{
    volatile int depth = 0;
    if (HARNESS_SANITIZED) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
    }
    switch (way) {
    case EXIT_0:
        exit(0);
    case EXIT_3:
        exit(3);
    case EXIT_7:
        _exit(7);
    case ABORT:
        abort();
    case SEGFAULT:
        *(volatile int *)nowhere() = 1;
        break;
    case OVERFLOW:
        (void)recur(&depth);
        break;
    case KILL_ITSELF:
        kill(getpid(), SIGKILL);
        break;
    case TERMINATE:
        raise(SIGTERM);
        break;
    case LIVE:
    case WAYS:
        break;
    }
}

/* No core files, which take their time. */
static inline void leave_no_cores(void)
{
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

/* The call ended as one does that runs once and dies in this way, or returns something for LIVE. */
static inline void expect_death(const weft_outcome *outcome, enum way way)
{
    EXPECT_EQ(outcome->attempts, 1);
    EXPECT_GT(outcome->started_ns, 0);
    EXPECT_LE(outcome->started_ns, outcome->ended_ns);
    if (way == LIVE) {
        EXPECT_EQ(outcome->how, WEFT_DONE);
        EXPECT_STR(outcome->text, "");
        return;
    }
    EXPECT_EQ(outcome->how, WEFT_CRASHED);
    EXPECT_EQ(outcome->status, -ECHILD);
    EXPECT_EQ(outcome->signal, signal_of(way));
    EXPECT_EQ(outcome->exit_code, exit_code_of(way));
    EXPECT_HAS(outcome->text, signal_of(way) ? "signal" : "exit");
}

/* ---- programs of their own, whose processes must end with them */

/* Orphans become children of the test, which can then wait for them. */
static inline void adopt_orphans(void)
{
    if (HARNESS_EMULATED || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        SKIP("orphans cannot be adopted here");
}

/* Runs a program: a fork of a test that has not called weft_init(). Gives its id. */
static inline pid_t start_program(void (*fn)(void))
{
    NEEDS_PROCESSES();
    adopt_orphans();
    pid_t pid = fork();
    EXPECT_GE(pid, 0);
    if (pid == 0) {
        (void)signal(SIGTERM, SIG_DFL); /* without the test runner's handlers */
        (void)signal(SIGINT, SIG_DFL);
        fn();
        _exit(0);
    }
    return pid;
}

/* Waits for the program, and for everything that it started. Gives its wait status. */
static inline int wait_for_all(pid_t program)
{
    int status = -1;
    EXPECT_EQ(waitpid(program, &status, 0), program);
    while (waitpid(-1, NULL, 0) >= 0)
        ;
    EXPECT_EQ(errno, ECHILD);
    return status;
}

#endif
