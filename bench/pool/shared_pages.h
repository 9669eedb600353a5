/* SPDX-License-Identifier: MIT */
/* What the hand-written sides share: pages that a fork shares, a futex between processes, children
 * that die with their parent. */
#ifndef BENCH_POOL_SHARED_PAGES_H
#define BENCH_POOL_SHARED_PAGES_H

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"

static inline void *shared_pages(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bench_must(pages != MAP_FAILED, "mmap");
    return pages;
}

static inline void shared_wait(const uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static inline void shared_wake(const uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* As fork(), of a child that does not outlive its parent. */
static inline pid_t fork_child(void)
{
    pid_t pid = fork();
    bench_must(pid >= 0, "fork");
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static inline void end_child(pid_t pid)
{
    bench_must(pid > 0, "there is a child");
    kill(pid, SIGKILL);
    bench_must(waitpid(pid, NULL, 0) == pid, "waitpid");
}

#endif
