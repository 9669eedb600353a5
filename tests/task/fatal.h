/* SPDX-License-Identifier: MIT */
/* What is expected to end its process, in a child. */
#ifndef FATAL_H
#define FATAL_H

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* How a process ended that did something fatal, and what it said on stderr. */
struct end {
    int status;
    char said[65536];
};

static struct end end; /* of the last one */

static inline void run_fatal(void (*fn)(void))
{
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        fn();
        _exit(0);
    }
    close(fds[1]);
    size_t n = 0;
    ssize_t got;
    while ((got = read(fds[0], end.said + n, sizeof end.said - 1 - n)) > 0)
        n += (size_t)got;
    end.said[n] = '\0';
    close(fds[0]);
    EXPECT_EQ(waitpid(child, &end.status, 0), child);
}

static inline void expect_killed_by(int signo)
{
    EXPECT_TRUE(WIFSIGNALED(end.status));
    EXPECT_EQ(WTERMSIG(end.status), signo);
}

#endif
