/* SPDX-License-Identifier: MIT */
/* What the tests of this room share. */
#ifndef TESTS_PROCESS_COMMON_H
#define TESTS_PROCESS_COMMON_H

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft.h>

#include "harness.h"
#include "process/descriptors.h"
#include "process/zygote.h"
#include "worker.h"

static inline void begin(void)
{
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_init(), 0);
    DESCRIPTORS_COUNT_FROM_HERE();
}

static inline int echo(weft_call *call)
{
    return weft_call_return(call, call->arg, call->arg_bytes);
}

static inline int get_pid(weft_call *call)
{
    return give_number(call, getpid());
}

static inline int sleep_for_ever(weft_call *call)
{
    (void)call;
    while (pause() < 0) /* always */
        ;
    return 0;
}

/* Waits until the process behind a pidfd has ended, and closes it. */
static inline void await_end(int pidfd)
{
    struct pollfd end = { .fd = pidfd, .events = POLLIN };
    EXPECT_EQ(poll(&end, 1, -1), 1);
    close(pidfd);
}

/* Runs fn in a program of its own: a fork before any weft_init(). Gives its id. */
static inline pid_t run_program(void (*fn)(int), int fd)
{
    NEEDS_PROCESSES();
    pid_t pid = fork();
    EXPECT_GE(pid, 0);
    if (pid == 0) {
        fn(fd);
        _exit(0);
    }
    return pid;
}

/* Waits for a program to end well. */
static inline void expect_success(pid_t pid)
{
    int status;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

#endif
