/* SPDX-License-Identifier: MIT */
/*
 * pool/explain.c: what a pool says of itself, in one line: what it has seen of its calls, or why
 * it does not go by that; a semicolon; its workers and the CPUs that they share.
 *
 *     WAITING % waiting: I/O-bound; N threads on CPUS CPUs
 *
 * A call that waits more than half of the time that it would take with a CPU to itself is called
 * I/O-bound, one that waits less than a fifth CPU-bound, and what lies between them mixed. CPUs are
 * written with a decimal point where a quota says so.
 */
#include <errno.h>
#include <stdio.h>

#include "base/cpus.h"
#include "pool/pool.h"
#include "sync/lock.h"

enum { IO_BOUND = 50, CPU_BOUND = 20 };

/* "2 threads on 1.5 CPUs (a quota)" */
static void describe(char *to, size_t size, uint32_t n, weft_kind kind)
{
    static const char *const nouns[][2] = { [WEFT_THREADS] = { "thread", "threads" },
                                            [WEFT_TASKS] = { "task", "tasks" },
                                            [WEFT_PROCESSES] = { "process", "processes" } };
    bool quota;
    unsigned tenths = (base_cpu_thousandths(&quota) + 99) / 100;
    char part[8] = "";
    if (tenths % 10)
        snprintf(part, sizeof part, ".%u", tenths % 10);
    snprintf(to, size, "%u %s on %u%s CPU%s%s", n, nouns[kind][n != 1], tenths / 10, part,
             tenths == 10 ? "" : "s", quota ? " (a quota)" : "");
}

static const char *bound_by(uint32_t waiting)
{
    return waiting > IO_BOUND ? "I/O-bound" : waiting < CPU_BOUND ? "CPU-bound" : "mixed";
}

/* What a pilot has seen and decided, as it was at one moment. */
struct account {
    struct auto_state view;
    uint32_t size, processes;
    const char *why_threads;
};

static struct account ask(weft_pool *pool)
{
    struct pilot *pilot = pool->pilot;
    weft_pool *processes = auto_processes(pool);
    lock_inner(&pool->lock);
    struct account account = { .view = pilot->view,
                               .size = pilot_size(pilot),
                               .processes = processes ? pool_workers(processes) : 0,
                               .why_threads = pilot->why_threads };
    weft_lock_release(&pool->lock);
    return account;
}

static int explain_auto(weft_pool *pool, char *buffer, size_t size)
{
    char workers[80], seen[48] = "not measured yet";
    struct account account = ask(pool);
    const struct auto_state *view = &account.view;
    bool fights = account.processes || view->fights;
    describe(workers, sizeof workers, account.processes ? account.processes : account.size,
             account.processes ? WEFT_PROCESSES : WEFT_THREADS);
    if (view->measured)
        snprintf(seen, sizeof seen, "%u %% waiting: %s", view->waiting, bound_by(view->waiting));
    if (fights)
        snprintf(seen, sizeof seen, "calls fight over a GIL");
    if (fights && !account.processes && account.why_threads)
        return snprintf(buffer, size, "%s; %s: no processes, as %s", seen, workers,
                        account.why_threads);
    if (view->limited && !account.processes)
        return snprintf(buffer, size, "%s; %s, the most that %s", seen, workers,
                        auto_limit_words(view->limit));
    return snprintf(buffer, size, "%s; %s", seen, workers);
}

int weft_pool_explain(weft_pool *pool, char *buffer, size_t size)
{
    char workers[80];
    if (!buffer && size)
        return -EINVAL;
    if (pool->kind == WEFT_SERIAL)
        return snprintf(buffer, size, "as opened; each call runs in the strand that submits it");
    if (pool->pilot)
        return explain_auto(pool, buffer, size);
    bool processes = pool->crew != NULL;
    describe(workers, sizeof workers, pool_workers(pool), processes ? WEFT_PROCESSES : pool->kind);
    return snprintf(buffer, size, "%s; %s",
                    pool->kind == WEFT_AUTO ? auto_isolates(&pool->options) : "as opened", workers);
}
