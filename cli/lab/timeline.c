/* SPDX-License-Identifier: MIT */
/* Timelines: concurrency and parallelism to look at.
 *
 * Each is a pool of a few workers and a few calls, which say when they computed and when they
 * waited (loads.c). CLOCK_MONOTONIC is the same in every process, so the pieces lie on one axis.
 * Those on one CPU are recorded in a process of their own that may use no other: what it starts
 * there, the threads that run tasks included, inherits that. */
#include "timeline.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPUS_TEXT = 16, SPANS_MAX = 16384 };

/* What is recorded. */
struct recipe {
    const char *title;
    enum lab_load load;
    weft_kind kind;
    uint32_t workers, calls;
    uint32_t page_ms, cpu_ms; /* of a call; page_ms 0: no page */
    bool gil;
    bool one_cpu;
};

static const struct recipe recipes[] = {
    { "4 threads compute on one CPU: they take turns", LAB_CPU, WEFT_THREADS, 4, 4, 0, 25, false,
      true },
    { "4 threads compute under a GIL: one at a time, however many CPUs there are", LAB_CPU,
      WEFT_THREADS, 4, 4, 0, 25, true, false },
    { "2 threads compute without a GIL: at the same time, on two CPUs", LAB_CPU, WEFT_THREADS, 2, 2,
      0, 50, false, false },
    { "2 processes compute, each under a GIL of its own: at the same time, on two CPUs", LAB_CPU,
      WEFT_PROCESSES, 2, 2, 0, 50, true, false },
    { "8 threads fetch pages: they wait at the same time", LAB_IO, WEFT_THREADS, 8, 24, 50, 0,
      false, false },
    { "8 tasks fetch pages on one CPU: one thread waits for all of them", LAB_IO, WEFT_TASKS, 8, 24,
      50, 0, false, true },
    { "8 processes fetch pages: they wait at the same time", LAB_IO, WEFT_PROCESSES, 8, 24, 50, 0,
      false, false },
    { "4 tasks fetch pages and compute on one CPU: one computes while the others wait", LAB_MIXED,
      WEFT_TASKS, 4, 16, 20, 5, false, true },
    { "4 threads fetch pages and compute under a GIL: who waits for a page gives it up", LAB_MIXED,
      WEFT_THREADS, 4, 16, 20, 5, true, false },
};

#define RECIPES (sizeof recipes / sizeof recipes[0])

/* What a recorded run gives, as bytes too: spans follow it. */
struct recording {
    int64_t wall_ns;
    size_t count;
    struct lab_span spans[];
};

/* The argument of the process that records on one CPU. */
struct order {
    struct recipe recipe;
    struct lab_bench bench;
};

/* Of one map's arrays. */
struct sheet {
    struct lab_job *jobs;
    weft_bytes *spans;
    weft_outcome *outcomes;
};

static int by_worker(const void *a, const void *b)
{
    const struct lab_span *x = a;
    const struct lab_span *y = b;

    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static int gather(const struct recipe *recipe, const struct sheet *sheet, int64_t begin_ns,
                  struct recording **ret)
{
    size_t count = 0;

    for (uint32_t i = 0; i < recipe->calls; i++)
        count += sheet->spans[i].size / sizeof(struct lab_span);
    struct recording *recording = malloc(sizeof *recording + count * sizeof(struct lab_span));
    if (recording == NULL)
        return -ENOMEM;
    *recording = (struct recording){ 0 };
    for (uint32_t i = 0; i < recipe->calls; i++) {
        const struct lab_span *spans = sheet->spans[i].data;
        for (size_t j = 0; j < sheet->spans[i].size / sizeof *spans; j++) {
            struct lab_span *span = &recording->spans[recording->count++];
            *span = spans[j];
            span->worker = sheet->outcomes[i].worker;
            span->begin_ns -= begin_ns;
            span->end_ns -= begin_ns;
            if (span->end_ns > recording->wall_ns)
                recording->wall_ns = span->end_ns;
        }
    }
    qsort(recording->spans, recording->count, sizeof recording->spans[0], by_worker);
    *ret = recording;
    return 0;
}

static int run_recorded(weft_pool *pool, const struct recipe *recipe, const struct sheet *sheet,
                        struct recording **ret, struct lab_trouble *trouble)
{
    const weft_map spec = {
        .in = sheet->jobs,
        .count = recipe->calls,
        .in_bytes = sizeof sheet->jobs[0],
        .out = sheet->spans,
        .out_bytes = WEFT_BYTES,
        .outcomes = sheet->outcomes,
    };
    int64_t begin_ns = weft_now();
    int rc = weft_pool_map(pool, lab_call_recorded, &spec, WEFT_FOREVER);

    for (uint32_t i = 0; rc == -ECHILD && i < recipe->calls; i++)
        if (sheet->outcomes[i].how != WEFT_DONE)
            snprintf(trouble->text, sizeof trouble->text, "%s", sheet->outcomes[i].text);
    if (rc == 0)
        rc = gather(recipe, sheet, begin_ns, ret);
    weft_bytes_free(sheet->spans, recipe->calls);
    return rc;
}

/* Opens a pool, runs the calls, and gives what was recorded, to be freed. */
static int record_here(const struct recipe *recipe, const struct lab_bench *bench,
                       struct recording **ret, struct lab_trouble *trouble)
{
    struct sheet sheet = {
        .jobs = calloc(recipe->calls, sizeof *sheet.jobs),
        .spans = calloc(recipe->calls, sizeof *sheet.spans),
        .outcomes = calloc(recipe->calls, sizeof *sheet.outcomes),
    };
    weft_pool *pool = NULL;
    int rc = sheet.jobs && sheet.spans && sheet.outcomes ? 0 : -ENOMEM;

    for (uint32_t i = 0; rc == 0 && i < recipe->calls; i++)
        sheet.jobs[i] = (struct lab_job){ .page = recipe->page_ms > 0,
                                          .gil = recipe->gil,
                                          .page_ms = recipe->page_ms,
                                          .rounds = recipe->cpu_ms * bench->rounds_per_ms };
    if (rc == 0)
        rc = lab_pool_open(&pool, bench, recipe->kind, recipe->workers);
    if (rc == 0)
        rc = lab_pool_warm(pool, recipe->workers, trouble);
    if (rc == 0)
        rc = run_recorded(pool, recipe, &sheet, ret, trouble);
    weft_pool_close(pool);
    free(sheet.jobs);
    free(sheet.spans);
    free(sheet.outcomes);
    return rc;
}

/* Runs in a process that has one CPU. */
static int record_there(weft_call *call)
{
    const struct order *order = call->arg;
    struct recording *recording = NULL;
    struct lab_trouble trouble = { "" };
    int rc = record_here(&order->recipe, &order->bench, &recording, &trouble);

    if (rc == 0)
        rc = weft_call_return(call, recording,
                              sizeof *recording + recording->count * sizeof(struct lab_span));
    free(recording);
    return rc < 0
               ? weft_call_fail(call, rc, "%s", trouble.text[0] ? trouble.text : weft_strerror(rc))
               : 0;
}

/* Any CPU that this process may use, as options.cpus wants it. */
static void name_a_cpu(char text[CPUS_TEXT])
{
    int cpu = sched_getcpu();

    snprintf(text, CPUS_TEXT, "%d", cpu < 0 ? 0 : cpu);
}

static int take_result(weft_future *future, struct recording **ret, struct lab_trouble *trouble)
{
    size_t bytes;
    const void *result = weft_future_result(future, &bytes);

    if (weft_future_outcome(future)->how != WEFT_DONE || result == NULL) {
        snprintf(trouble->text, sizeof trouble->text, "%s", weft_future_outcome(future)->text);
        return -ECHILD;
    }
    *ret = malloc(bytes);
    if (*ret == NULL)
        return -ENOMEM;
    memcpy(*ret, result, bytes);
    return 0;
}

static int record_on_one_cpu(const struct recipe *recipe, const struct lab_bench *bench,
                             struct recording **ret, struct lab_trouble *trouble)
{
    struct order order = { *recipe, *bench };
    char cpu[CPUS_TEXT];
    weft_group *group = NULL;
    weft_future *future = NULL;

    name_a_cpu(cpu);
    int rc =
        weft_group_open(&group, WEFT_PROCESSES, &(weft_options){ .name = "timeline", .cpus = cpu });
    if (rc == 0)
        rc = weft_group_submit(group, record_there, &order, sizeof order, &future, WEFT_FOREVER);
    if (rc == 0)
        rc = weft_future_wait(future, WEFT_FOREVER);
    if (rc == 0 || rc == -ECHILD)
        rc = take_result(future, ret, trouble);
    weft_future_close(future);
    weft_group_close(group);
    return rc;
}

/* Copies what the recording holds into the results' next timeline. */
static int keep(const struct recipe *recipe, const struct recording *recording,
                struct lab_results *results)
{
    struct lab_timeline *timeline = &results->timelines[results->timeline_count];
    size_t count = recording->count < SPANS_MAX ? recording->count : SPANS_MAX;

    *timeline = (struct lab_timeline){
        .load = recipe->load,
        .kind = recipe->kind,
        .workers = recipe->workers,
        .cpus = recipe->one_cpu ? 1 : results->machine.cpus,
        .gil = recipe->gil,
        .wall_ns = recording->wall_ns,
        .spans = calloc(count > 0 ? count : 1, sizeof *timeline->spans),
        .span_count = count,
    };
    if (timeline->spans == NULL)
        return -ENOMEM;
    snprintf(timeline->title, sizeof timeline->title, "%s", recipe->title);
    memcpy(timeline->spans, recording->spans, count * sizeof *timeline->spans);
    results->timeline_count++;
    return 0;
}

/* Parallel ones need two CPUs. */
static bool is_wanted(const struct lab_settings *settings, const struct lab_results *results,
                      const struct recipe *recipe)
{
    bool parallel = recipe->load == LAB_CPU && recipe->workers == 2;

    if (!settings->loads[recipe->load] || (parallel && results->machine.cpus < 2))
        return false;
    if (!(recipe->gil ? settings->with_gil : settings->without_gil))
        return false;
    for (size_t i = 0; i < settings->kind_count; i++)
        if (settings->kinds[i] == recipe->kind)
            return true;
    return false;
}

static int record(const struct recipe *recipe, const struct lab_bench *bench,
                  struct lab_results *results, struct lab_trouble *trouble)
{
    struct recording *recording = NULL;
    int rc = recipe->one_cpu ? record_on_one_cpu(recipe, bench, &recording, trouble)
                             : record_here(recipe, bench, &recording, trouble);

    if (rc == 0)
        rc = keep(recipe, recording, results);
    free(recording);
    return rc;
}

int lab_timelines_record(const struct lab_settings *settings, const struct lab_bench *bench,
                         struct lab_results *results, struct lab_trouble *trouble)
{
    int rc = 0;

    results->timelines = calloc(RECIPES, sizeof *results->timelines);
    if (results->timelines == NULL)
        return -ENOMEM;
    for (size_t i = 0; rc == 0 && i < RECIPES; i++)
        if (is_wanted(settings, results, &recipes[i]))
            rc = record(&recipes[i], bench, results, trouble);
    return rc;
}
