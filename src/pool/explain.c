/* SPDX-License-Identifier: MIT */
/*
 * pool/explain.c: what a pool says of itself, in one line: what it has seen of its calls, or why
 * it cannot go by that; a semicolon; its workers and the CPUs that they share.
 */
#include <errno.h>
#include <stdio.h>

#include "base/cpus.h"
#include "pool/auto.h"
#include "pool/pool.h"

/* "1 thread", "2 threads". */
static void count(char *to, size_t size, uint32_t n, weft_kind kind)
{
    static const char *const nouns[][2] = { [WEFT_SERIAL] = { "strand", "strands" },
                                            [WEFT_THREADS] = { "thread", "threads" },
                                            [WEFT_TASKS] = { "task", "tasks" },
                                            [WEFT_PROCESSES] = { "process", "processes" } };
    snprintf(to, size, "%u %s", n, nouns[kind][n != 1]);
}

int weft_pool_explain(weft_pool *pool, char *buffer, size_t size)
{
    char workers[32];
    unsigned cpus = base_cpus();
    if (!buffer && size)
        return -EINVAL;
    weft_kind kind = pool->kind;
    if (kind == WEFT_SERIAL)
        return snprintf(buffer, size, "as opened; each call runs in the strand that submits it");
    const char *seen = "as opened";
    if (kind == WEFT_AUTO) {
        kind = pool->crew ? WEFT_PROCESSES : WEFT_THREADS;
        seen = pool->crew ? auto_isolates(&pool->options) : "not measured yet";
    }
    count(workers, sizeof workers, pool_workers(pool), kind);
    return snprintf(buffer, size, "%s; %s on %u CPU%s", seen, workers, cpus, cpus == 1 ? "" : "s");
}
