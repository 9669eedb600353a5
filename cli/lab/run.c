/* SPDX-License-Identifier: MIT */
/* One run: a map over a load's calls, from its start to the end of the last call.
 *
 * CPU time is that of this process (threads, tasks, and what it takes to feed the workers), and of
 * the calls that ran in others, which each tell what they took; the kernel has no account of that,
 * since the worker processes are not this one's children. */
#include "run.h"

#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { IO_PAGE_MS = 50, CPU_MS = 2, MIXED_PAGE_MS = 5, MIXED_CPU_MS = 5 };

enum { WARM_PAGE_MS = 3 };

/* How long all workers are tried to be reached: a process may take a while to start, and others do
 * its share meanwhile. */
#define WARM_NS (2 * WEFT_S)

struct lab_job lab_job_of(const struct lab_bench *bench, enum lab_load load, bool gil, size_t index,
                          size_t count)
{
    if (load == LAB_CHANGING)
        load = index < count / 2 ? LAB_IO : LAB_CPU;
    if (load == LAB_IO)
        return (struct lab_job){ .page = true, .gil = gil, .page_ms = IO_PAGE_MS };
    if (load == LAB_CPU)
        return (struct lab_job){ .gil = gil, .rounds = CPU_MS * bench->rounds_per_ms };
    return (struct lab_job){ .page = true,
                             .gil = gil,
                             .page_ms = MIXED_PAGE_MS,
                             .rounds = MIXED_CPU_MS * bench->rounds_per_ms };
}

int lab_pool_open(weft_pool **ret_pool, const struct lab_bench *bench, weft_kind kind,
                  uint32_t workers)
{
    return weft_pool_open(
        ret_pool, kind,
        &(weft_options){ .name = "lab",
                         .workers = kind == WEFT_AUTO ? bench->workers_max : workers,
                         .context = &bench->place,
                         .context_bytes = sizeof bench->place,
                         .enter = lab_worker_enter,
                         .leave = lab_worker_leave });
}

/* What a map reads and writes. */
struct table {
    struct lab_job *jobs;
    struct lab_done *done;
    weft_outcome *outcomes;
    size_t count;
};

static void table_free(struct table *table)
{
    free(table->jobs);
    free(table->done);
    free(table->outcomes);
}

static int table_make(struct table *table, size_t count)
{
    table->count = count;
    table->jobs = calloc(count, sizeof *table->jobs);
    table->done = calloc(count, sizeof *table->done);
    table->outcomes = calloc(count, sizeof *table->outcomes);
    if (table->jobs != NULL && table->done != NULL && table->outcomes != NULL)
        return 0;
    table_free(table);
    return -ENOMEM;
}

static void explain_failure(const struct table *table, struct lab_trouble *trouble)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->outcomes[i].how != WEFT_DONE && table->outcomes[i].how != WEFT_CANCELLED) {
            snprintf(trouble->text, sizeof trouble->text, "%s", table->outcomes[i].text);
            return;
        }
}

static int map(weft_pool *pool, struct table *table, struct lab_trouble *trouble)
{
    const weft_map spec = {
        .in = table->jobs,
        .count = table->count,
        .in_bytes = sizeof *table->jobs,
        .out = table->done,
        .out_bytes = sizeof *table->done,
        .outcomes = table->outcomes,
    };
    int rc = weft_pool_map(pool, lab_call, &spec, WEFT_FOREVER);

    if (rc == -ECHILD)
        explain_failure(table, trouble);
    return rc;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const weft_outcome *)a)->worker;
    uint32_t y = ((const weft_outcome *)b)->worker;

    return (x > y) - (x < y);
}

/* How many workers have run at least one of the calls. */
static uint32_t count_workers(struct table *table)
{
    uint32_t workers = 0;

    qsort(table->outcomes, table->count, sizeof *table->outcomes, by_number);
    for (size_t i = 0; i < table->count; i++)
        workers += i == 0 || table->outcomes[i].worker != table->outcomes[i - 1].worker;
    return workers;
}

int lab_pool_warm(weft_pool *pool, uint32_t workers, struct lab_trouble *trouble)
{
    weft_deadline end = weft_after(WARM_NS);
    struct table table;
    int rc = table_make(&table, workers);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < workers; i++)
        table.jobs[i] = (struct lab_job){ .page = true, .page_ms = WARM_PAGE_MS };
    do
        rc = map(pool, &table, trouble);
    while (rc == 0 && count_workers(&table) < workers && weft_left(end) > 0);
    table_free(&table);
    return rc;
}

static double own_cpu_s(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The CPU time of the embedded site until now, 0 if it cannot be had. */
static double site_cpu_s(pid_t site)
{
    struct timespec spent;
    clockid_t clock;

    if (clock_getcpuclockid(site, &clock) != 0 || clock_gettime(clock, &spent) < 0)
        return 0;
    return (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
}

/* What was spent by a moment, and by whom. */
struct account {
    double busy_s; /* by everybody */
    double own_s;  /* by this process */
    double site_s;
};

static struct account account_now(const struct lab_bench *bench)
{
    return (struct account){ machine_busy_s(), own_cpu_s(), site_cpu_s(bench->site) };
}

/* The CPU time of the calls that ran in other processes. */
static double others_cpu_s(const struct table *table)
{
    int64_t self = getpid();
    int64_t ns = 0;

    for (size_t i = 0; i < table->count; i++)
        if (table->done[i].pid != self)
            ns += table->done[i].cpu_ns;
    return (double)ns / (double)WEFT_S;
}

static void add_calls(const struct table *table, struct lab_sample *sample)
{
    for (size_t i = 0; i < table->count; i++) {
        sample->page_s += (double)table->done[i].page_ns / (double)WEFT_S;
        sample->call_s += (double)table->done[i].cpu_ns / (double)WEFT_S;
    }
}

int lab_run(weft_pool *pool, const struct lab_bench *bench, enum lab_load load, bool gil,
            size_t calls, struct lab_sample *ret, struct lab_trouble *trouble)
{
    struct table table;
    int rc = table_make(&table, calls);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < calls; i++)
        table.jobs[i] = lab_job_of(bench, load, gil, i, calls);
    struct account from = account_now(bench);
    int64_t begin_ns = weft_now();
    rc = map(pool, &table, trouble);
    int64_t end_ns = weft_now();
    struct account to = account_now(bench);
    if (rc == 0) {
        double cpu_s = to.own_s - from.own_s + others_cpu_s(&table);
        *ret = (struct lab_sample){
            .seconds = (double)(end_ns - begin_ns) / (double)WEFT_S,
            .cpu_s = cpu_s,
            .others_s = to.busy_s - from.busy_s - cpu_s - (to.site_s - from.site_s),
            .calls = calls,
            .workers = count_workers(&table),
        };
        add_calls(&table, ret);
    }
    table_free(&table);
    return rc;
}
