/* SPDX-License-Identifier: MIT */
/*
 * weft/options.h: how groups and pools are opened. NULL, or a zeroed struct, means the defaults:
 *
 *     weft_pool_open(&pool, WEFT_PROCESSES, &(weft_options){ .workers = 5, .name = "fetch" });
 *
 * A promise that a kind cannot keep is refused with -ENOTSUP (call_timeout_ns for threads: nobody
 * can stop a thread that computes); a hint that means nothing to a kind is ignored.
 *
 * What cannot be given to a process (directory, cpus, niceness, memory_bytes_max; running the
 * program again) is found when one starts: a pool's worker does not open, a group's call fails,
 * with words that name it: "directory /none: No such file or directory".
 */
#ifndef WEFT_OPTIONS_H
#define WEFT_OPTIONS_H

#include <weft/call.h>

WEFT_BEGIN

typedef struct weft_pool weft_pool;

/* What the first failed call of a group or a map does to the others. */
typedef enum weft_failure {
    WEFT_CANCEL_REST = 1, /* cancels them: the default */
    WEFT_GO_ON,           /* nothing */
} weft_failure;

/* How a worker process comes to be. A hint: kinds whose strands are in this process ignore it. */
typedef enum weft_start {
    /* Forked by the zygote: it is the program as it was when it called weft_init(). */
    WEFT_START_ZYGOTE = 0,

    /* The program run again, which is fresh: nothing of its memory but what weft_shared_alloc()
       gave. Functions are found by the names that weft_register() gave them (program.h). Not for
       a program that has privileges of its file (setuid). */
    WEFT_START_EXEC,

    /* Forked from a snapshot of the program, made when the group or the pool is opened: what it
       has loaded by then is there and need not be sent, and so is whatever has changed since
       weft_init(): environment, limits, user. (Descriptors are not: see fd.h.) The program must
       have one thread at that moment, or opening fails with -EBUSY; pools, running groups and
       tasks have threads, so several such are opened before the first call is started. */
    WEFT_START_FORK,
} weft_start;

typedef struct weft_options {
    /* For people to read; copied. Strands are called NAME-0, NAME-1 and so on. */
    const char *name;

    /* Groups: calls run on this pool's workers instead of on strands of their own; the kind must
       be the pool's. Borrowed until the group is closed. */
    weft_pool *pool;

    /* Pools: how many workers, at most 4096; 0: as many as there are CPUs to use, or 256 tasks,
       since those are for waiting. Kind auto: the most that it may have, or fewer where a limit of
       the system says so; 0: 256, or as many as CPUs if these are more. */
    uint32_t workers;

    /* Pools: how many calls may wait for a worker before submit waits itself; 0: 1024. */
    uint32_t backlog_max;

    /* Pools of processes: how often a call may be started again that crashed; 0 and 1: never. */
    uint32_t attempts_max;

    /* Pools: a worker begins anew after that many calls; 0: never. A process is replaced by a fresh
       one; a thread runs leave, drops its strand-local values, and runs enter again. */
    uint32_t calls_per_worker_max;

    /* Threads: size of their stacks; 0: the system's default. Tasks: address space for the stack of
       each, of which an eighth, at most 64 KiB, is a guard; rounded up to a power of two, at most
       1 GiB; 0: 256 KiB. Memory is taken as it is used, a page at first. */
    size_t stack_bytes;

    /* Groups: what the first failure does to the rest; 0: WEFT_CANCEL_REST. */
    weft_failure on_failure;

    /* Processes: a call that runs longer is killed and ends as WEFT_OVERDUE; 0: no limit. */
    int64_t call_timeout_ns;

    /* Processes: how long one may run on after it was asked to end (SIGTERM) before it is killed;
       0: 2 s. */
    int64_t grace_ns;

    /* Every call finds these bytes in call->context. Copied once; context_bytes may also be
       WEFT_STRING, or WEFT_POINTER: lent, as arguments are. */
    const void *context;
    size_t context_bytes;

    /* Pools: run in each worker before its first call (context is set, arg is not) and after its
       last. What enter stores in *ret_worker is call->worker from then on. A worker whose enter
       fails is not used; when none is left, calls fail with its error and text. */
    int (*enter)(weft_call *call, void **ret_worker);
    void (*leave)(void *worker);

    /* Called for each call that ended other than done or cancelled, by the strand that ran or
       watched it: several at once are possible. outcome is valid during the call. */
    void (*on_error)(const weft_outcome *outcome, void *ctx);
    void *on_error_ctx;

    /* Processes: all of the environment, "NAME=value" each, the last followed by NULL; copied.
       NULL: as it was at weft_init(). */
    const char *const *environment;

    /* Processes: the working directory; copied. A relative one is relative to that of whoever
       starts the worker. NULL: that itself. */
    const char *directory;

    /* Processes: the CPUs to run on, as the kernel writes them, "0-3,6"; copied. Those that do not
       exist or are not allowed are passed over, but one must be left. NULL: as at weft_init().
       Ignored by other kinds. */
    const char *cpus;

    /* Processes: how many bytes of memory a worker may take, beyond what it had when it was
       started; 0: no limit. An allocation beyond it fails with ENOMEM, inside of the function.
       Counted is private memory that may be written, when it is mapped and not when it is touched:
       the heap, stacks of threads and tasks, mmap(). Not counted are shared memory, the first
       thread's stack, files that are only read, and the programs that the worker starts, which have
       the limit (RLIMIT_DATA) for themselves. A limit that the program has already stays. */
    uint64_t memory_bytes_max;

    /* Processes: added to the niceness that the program had at weft_init(), -39 to 39; less than 0
       needs a privilege. Ignored by other kinds. */
    int32_t niceness;

    weft_start start;

    /* Zero. */
    uint64_t reserved[4];
} weft_options;

WEFT_END
#endif
