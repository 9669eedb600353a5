/* SPDX-License-Identifier: MIT */
/*
 * Walking through another process by ptrace(2), an instruction or a system call at a time, letting
 * it run up to an instruction, and killing it where it stands. Whoever traces must be one thread,
 * from the start to the end; it sees the death of whom it traces before its parent does, so it
 * waits for it at once.
 */
#ifndef TESTS_POOL_TRACING_H
#define TESTS_POOL_TRACING_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <elf.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* Skips the test where nobody can be traced. Others are forked from whom it tries to trace. */
static inline void trace_must_be_possible(void)
{
    if (HARNESS_EMULATED || HARNESS_VALGRIND)
        SKIP("emulators and valgrind do not let a process be traced");
#ifdef __aarch64__
    if (!(getauxval(AT_HWCAP) & (1 << 8))) /* atomics that are one instruction each */
        SKIP("stepping would never come out of a loop of exclusive loads and stores");
#endif
    pid_t pid = fork();
    EXPECT_GE(pid, 0);
    if (pid == 0)
        for (;;)
            pause();
    long rc = ptrace(PTRACE_SEIZE, pid, NULL, NULL);
    int error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, __WALL);
    if (rc < 0)
        SKIP("no process can be traced: %s", strerror(error));
}

/* The letter for the state of a process: 'S' while it sleeps in the kernel. */
static inline char trace_state(pid_t pid)
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "re");
    if (stat && fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    if (stat)
        fclose(stat);
    return state;
}

/* Stops a process that runs or sleeps; what it waits for is waited for again when it goes on. */
static inline void trace_stop(pid_t pid, int options)
{
    int status;
    EXPECT_EQ(ptrace(PTRACE_SEIZE, pid, NULL, options), 0);
    EXPECT_EQ(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
    EXPECT_EQ(waitpid(pid, &status, __WALL), pid);
    EXPECT_TRUE(WIFSTOPPED(status));
}

/* How a step ended. */
enum trace_end {
    TRACE_STOPPED, /* at the next instruction, or system call */
    TRACE_ASLEEP,  /* not yet: it sleeps, and over(ctx) says that nobody will wake it */
    TRACE_ENDED,
};

/* Waits for the next stop. Gives the signal that it stopped for, 0 for a word of the kernel's. */
static inline enum trace_end trace_wait(pid_t pid, bool (*over)(const void *), const void *ctx,
                                        int *ret_signo)
{
    int status;
    for (unsigned polls = 1; waitpid(pid, &status, __WALL | WNOHANG) != pid; polls++) {
        if (polls % 256 == 0 && over && over(ctx) && trace_state(pid) == 'S')
            return TRACE_ASLEEP;
        sched_yield();
    }
    if (!WIFSTOPPED(status))
        return TRACE_ENDED;
    *ret_signo = status >> 16 ? 0 : WSTOPSIG(status);
    return TRACE_STOPPED;
}

/* Goes on to the next stop: of PTRACE_SINGLESTEP, PTRACE_SYSCALL, or a trap that PTRACE_CONT meets.
 * Signals are passed on. */
static inline enum trace_end trace_step(int request, pid_t pid, bool (*over)(const void *),
                                        const void *ctx)
{
    int signo = 0;
    for (;;) {
        EXPECT_EQ(ptrace(request, pid, NULL, (long)signo), 0);
        enum trace_end end = trace_wait(pid, over, ctx, &signo);
        if (end != TRACE_STOPPED || signo == SIGTRAP)
            return end;
    }
}

/* ---- running up to an instruction, by a trap in its place */

#ifdef __x86_64__
#define TRACE_PC        rip
#define TRACE_TRAP      0xccUL /* int3, after which it stops */
#define TRACE_TRAP_MASK 0xffUL
#define TRACE_PAST_TRAP 1
#else
#define TRACE_PC        pc
#define TRACE_TRAP      0xd4200000UL /* brk 0, at which it stops */
#define TRACE_TRAP_MASK 0xffffffffUL
#define TRACE_PAST_TRAP 0
#endif

static inline uintptr_t trace_pc(pid_t pid)
{
    struct user_regs_struct registers;
    struct iovec room = { &registers, sizeof registers };
    EXPECT_EQ(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &room), 0);
    return registers.TRACE_PC;
}

static inline void trace_set_pc(pid_t pid, uintptr_t pc)
{
    struct user_regs_struct registers;
    struct iovec room = { &registers, sizeof registers };
    EXPECT_EQ(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &room), 0);
    registers.TRACE_PC = pc;
    EXPECT_EQ(ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &room), 0);
}

/* Runs to the nth time that it is about to carry out the instruction at pc. */
static inline enum trace_end trace_run_to(pid_t pid, uintptr_t pc, unsigned nth,
                                          bool (*over)(const void *), const void *ctx)
{
    errno = 0;
    unsigned long code = (unsigned long)ptrace(PTRACE_PEEKTEXT, pid, (void *)pc, NULL);
    unsigned long trap = (code & ~TRACE_TRAP_MASK) | TRACE_TRAP;
    EXPECT_EQ(errno, 0);
    for (;;) {
        EXPECT_EQ(ptrace(PTRACE_POKETEXT, pid, (void *)pc, trap), 0);
        enum trace_end end = trace_step(PTRACE_CONT, pid, over, ctx);
        if (end != TRACE_STOPPED)
            return end; /* asleep, with the trap in place: it must be killed */
        EXPECT_EQ(trace_pc(pid), pc + TRACE_PAST_TRAP);
        EXPECT_EQ(ptrace(PTRACE_POKETEXT, pid, (void *)pc, code), 0);
        trace_set_pc(pid, pc);
        if (--nth == 0)
            return TRACE_STOPPED;
        end = trace_step(PTRACE_SINGLESTEP, pid, over, ctx);
        if (end != TRACE_STOPPED)
            return end;
    }
}

static inline void trace_kill(pid_t pid)
{
    int status;
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    do
        EXPECT_EQ(waitpid(pid, &status, __WALL), pid);
    while (WIFSTOPPED(status));
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

#endif
