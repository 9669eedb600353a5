/* SPDX-License-Identifier: MIT */
/* Made-up results: simple models of what each load does, the same in each run. */
#include "lab_sample.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 256, TIMELINES = 7, SPANS_MAX = 12000, CPUS = 2 };

static const uint32_t counts[] = { 1, 2, 4, 8, 16, 32, 64, 128 };

/* Calls a second: waiting overlaps as far as there are workers, computing as far as there are
 * CPUs. */
static double model(enum lab_load load, weft_kind kind, double workers, bool gil)
{
    static const double wait_s[] = { 0.0502, 0, 0.0052, 0.0251 };
    static const double compute_s[] = { 0.0001, 0.00206, 0.0051, 0.00108 };
    double cost = kind == WEFT_PROCESSES ? 1.9 : kind == WEFT_TASKS ? 0.7 : 1;
    double cpus = gil && kind != WEFT_PROCESSES ? 1 : CPUS;
    double compute = compute_s[load] + 0.00012 * cost * (load != LAB_CPU);
    double most = (gil && load == LAB_CPU && kind == WEFT_THREADS ? 0.93 : 1) * cpus / compute;
    double rate = workers / (wait_s[load] + compute);

    return 1 / pow(pow(rate, -4) + pow(most, -4), 0.25);
}

static void add_row(struct lab_results *results, enum lab_load load, weft_kind kind,
                    uint32_t workers, bool gil)
{
    struct lab_row *row = &results->rows[results->row_count++];
    double rate = model(load, kind, workers, gil) * (1 + 0.013 * sin(results->row_count));
    double spread = results->row_count % 7 == 3 ? 0.11 : 0.022;

    *row = (struct lab_row){
        .load = load,
        .kind = kind,
        .workers = workers,
        .gil = gil,
        .runs = 3 + results->row_count % 6,
        .rate = rate,
        .low = rate * (1 - spread),
        .high = rate * (1 + 0.8 * spread),
        .cpus = fmin(load == LAB_IO ? rate * 0.0003 : workers, CPUS) * (gil ? 0.5 : 0.98),
        .call_waits = -1,
        .waiting = load == LAB_IO    ? 0.97
                   : workers <= CPUS ? 0.02
                                     : 1 - CPUS / (double)workers,
        .tight = spread < 0.05,
    };
    if (results->row_count % 23 == 9) {
        row->runs = 1;
        row->low = row->high = row->rate;
        row->tight = false;
    }
    if (kind == WEFT_AUTO)
        snprintf(row->explain, sizeof row->explain,
                 load == LAB_IO ? "97 %% waiting: I/O-bound; %" PRIu32 " threads on 2 CPUs"
                                : "2 %% waiting <b>\"CPU-bound\"</b> & so; %" PRIu32 " threads",
                 workers);
}

static void add_rows(struct lab_results *results, enum lab_load load)
{
    static const weft_kind kinds[] = { WEFT_THREADS, WEFT_TASKS, WEFT_PROCESSES };

    for (int gil = 0; gil < 2; gil++) {
        add_row(results, load, WEFT_SERIAL, 1, gil);
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
            for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
                if (kinds[k] != WEFT_PROCESSES || (counts[i] <= 32 && gil == 0))
                    add_row(results, load, kinds[k], counts[i], gil);
        add_row(results, load, WEFT_AUTO, load == LAB_IO ? 97 : gil ? 1 : 2, gil);
    }
}

static void add_verdict(struct lab_results *results, enum lab_load load, size_t first)
{
    struct lab_verdict *verdict = &results->verdicts[results->verdict_count++];

    verdict->load = load;
    verdict->best = first;
    for (size_t i = first; i < results->row_count; i++)
        if (results->rows[i].rate > results->rows[verdict->best].rate)
            verdict->best = i;
    const struct lab_row *best = &results->rows[verdict->best];
    snprintf(verdict->text, sizeof verdict->text,
             "%" PRIu32 " %s win: %.0f calls/s (95 %% interval %.0f to %.0f), %.1f times serial "
             "(%.1f), because %s; under a GIL <threads> lose half & more.",
             best->workers, weft_kind_name(best->kind), best->rate, best->low, best->high,
             best->rate / results->rows[first].rate, results->rows[first].rate,
             load == LAB_IO ? "97 % of a call is waiting, which overlaps"
                            : "each CPU can compute one call at a time");
}

static void add_span(struct lab_timeline *t, uint32_t worker, uint32_t cpu, int64_t begin_ns,
                     int64_t end_ns, bool waiting)
{
    if (t->span_count < SPANS_MAX && end_ns > begin_ns)
        t->spans[t->span_count++] = (struct lab_span){ worker, cpu, begin_ns, end_ns, waiting };
}

/* Workers that compute, in slices, in turns on each of the CPUs. */
static void fill_turns(struct lab_timeline *t, int64_t slice_ns, uint32_t at_once)
{
    uint32_t per_cpu = t->workers / at_once;

    for (uint32_t worker = 0; worker < t->workers; worker++) {
        int64_t at_ns = 0;
        for (uint32_t round = 0; at_ns < t->wall_ns; round++) {
            uint32_t cpu = at_once == 1 && t->cpus > 1 ? (worker + round) % 2 : worker % at_once;
            int64_t turn = round * per_cpu + worker / at_once;
            int64_t begin = turn * slice_ns, end = begin + slice_ns;
            add_span(t, worker, cpu, at_ns, begin < t->wall_ns ? begin : t->wall_ns, true);
            add_span(t, worker, cpu, begin, end < t->wall_ns ? end : t->wall_ns, false);
            at_ns = end;
        }
    }
}

/* Workers that wait for most of the time, one after the other or all at once. */
static void fill_waits(struct lab_timeline *t, int64_t wait_ns, int64_t compute_ns)
{
    for (uint32_t worker = 0; worker < t->workers; worker++) {
        int64_t at_ns = worker * compute_ns;
        while (at_ns + wait_ns + compute_ns <= t->wall_ns) {
            add_span(t, worker, worker % t->cpus, at_ns, at_ns + wait_ns, true);
            add_span(t, worker, worker % t->cpus, at_ns + wait_ns, at_ns + wait_ns + compute_ns,
                     false);
            at_ns += wait_ns + compute_ns;
        }
    }
}

static void add_timelines(struct lab_results *results)
{
    static const struct lab_timeline all[TIMELINES] = {
        { "4 threads on one CPU: they take turns", LAB_CPU, WEFT_THREADS, 4, 1, false, 160000000,
          NULL, 0 },
        { "4 threads on two CPUs: two compute at once", LAB_CPU, WEFT_THREADS, 4, 2, false,
          82000000, NULL, 0 },
        { "4 threads on two CPUs under a GIL", LAB_CPU, WEFT_THREADS, 4, 2, true, 165000000, NULL,
          0 },
        { "2 processes on two CPUs under a GIL each", LAB_CPU, WEFT_PROCESSES, 2, 2, true, 84000000,
          NULL, 0 },
        { "Serial: <one> page \"after\" the other", LAB_IO, WEFT_SERIAL, 1, 1, false, 203000000,
          NULL, 0 },
        { "8 threads wait for pages at the same time", LAB_IO, WEFT_THREADS, 8, 1, false, 152000000,
          NULL, 0 },
        { "64 tasks, many short turns", LAB_MIXED, WEFT_TASKS, 64, 2, false, 200000000, NULL, 0 },
    };

    for (size_t i = 0; i < TIMELINES; i++) {
        struct lab_timeline *t = &results->timelines[results->timeline_count++];
        *t = all[i];
        t->spans = calloc(SPANS_MAX, sizeof *t->spans);
        if (t->spans == NULL)
            abort();
        if (t->load == LAB_CPU)
            fill_turns(t, t->gil ? 5000000 : 3100000,
                       t->gil && t->kind == WEFT_THREADS ? 1 : t->cpus);
        else if (t->load == LAB_IO)
            fill_waits(t, 50100000, 400000);
        else
            fill_waits(t, 2000000, 70000);
    }
}

struct lab_results lab_sample(void)
{
    struct lab_results results = {
        .machine = { .cpu = "Example & Sons \"Fast\" <CPU> @ 2.40GHz \xff",
                     .kernel = "Linux 6.18.0-example",
                     .cpus = CPUS,
                     .memory_bytes = UINT64_C(16642998272) },
        .version = "0.1.0",
        .date = "2026-11-23T22:55:01Z",
        .seconds = 61.3,
        .cut = true,
        .others = 0.4,
        .race = { .threads = 2,
                  .expected = 2000000,
                  .unlocked = 1120433,
                  .locked = 2000000,
                  .unlocked_ns = 1.84,
                  .locked_ns = 21.7,
                  .tries = 1 },
    };

    results.rows = calloc(ROWS_MAX, sizeof *results.rows);
    results.timelines = calloc(TIMELINES, sizeof *results.timelines);
    if (results.rows == NULL || results.timelines == NULL)
        abort();
    for (int load = 0; load < LAB_LOADS; load++) {
        size_t first = results.row_count;
        add_rows(&results, (enum lab_load)load);
        add_verdict(&results, (enum lab_load)load, first);
    }
    add_timelines(&results);
    return results;
}
