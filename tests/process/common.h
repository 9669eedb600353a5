/* SPDX-License-Identifier: MIT */
/* What the tests of this room share. */
#ifndef TESTS_PROCESS_COMMON_H
#define TESTS_PROCESS_COMMON_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
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

static inline void *wait_for_lock(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

/* Calls fn while the process has another thread. */
static inline void check_beside_a_thread(void (*fn)(void))
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    pthread_mutex_lock(&lock);
    EXPECT_EQ(pthread_create(&thread, NULL, wait_for_lock, &lock), 0);
    fn();
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}

/* The letter of a process' state and, unless NULL, its parent. 0: there is no such process. */
static inline char state_of(pid_t pid, pid_t *ret_parent)
{
    char path[64], state = 0;
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "re");
    if (!stat)
        return 0;
    if (fscanf(stat, "%*d (%*[^)]) %c %d", &state, &parent) != 2)
        state = 0;
    fclose(stat);
    if (ret_parent)
        *ret_parent = parent;
    return state;
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

/* What can be read from a descriptor until its end, which comes once nobody can write any more. */
static inline void expect_read(int fd, const char *text)
{
    char bytes[500] = "";
    size_t used = 0;
    for (ssize_t n; (n = read(fd, bytes + used, sizeof bytes - 1 - used)) > 0;)
        used += (size_t)n;
    EXPECT_STR(bytes, text);
}

/* Runs fn in a program of its own, which writes this text to the descriptor and ends well. */
static inline void expect_printed(void (*fn)(int), const char *text)
{
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    fflush(stdout);
    pid_t program = run_program(fn, ends[1]);
    close(ends[1]);
    expect_read(ends[0], text);
    close(ends[0]);
    expect_success(program);
}

#endif
