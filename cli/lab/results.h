/* SPDX-License-Identifier: MIT */
/* What `weft lab` has found: all that the table, the JSON and the page are made of.
 *
 * Whoever measures fills it in, whoever shows it only reads it. Rates are calls per second. */
#ifndef LAB_RESULTS_H
#define LAB_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft.h>

/* What the calls do. */
enum lab_load {
    LAB_IO,       /* each fetches a page that is answered after 50 ms */
    LAB_CPU,      /* each computes for about 2 ms */
    LAB_MIXED,    /* each fetches a page, answered after 5 ms, and computes for about 5 ms */
    LAB_CHANGING, /* the first half of them are LAB_IO's, the second half LAB_CPU's */
    LAB_LOADS,
};

#define LAB_EXPLAIN_BYTES 160
#define LAB_VERDICT_BYTES 768
#define LAB_TITLE_BYTES   96
#define LAB_FACT_BYTES    128

/* A piece of a worker's time, on its timeline. A worker's pieces do not overlap and are in order;
 * between two of them it had nothing to do. */
struct lab_span {
    uint32_t worker;          /* from 0 */
    uint32_t cpu;             /* where it ended */
    int64_t begin_ns, end_ns; /* since the timeline's begin */
    bool waiting;             /* for a page, the GIL or a CPU; otherwise it computes */
};

/* One configuration, as measured. */
struct lab_row {
    enum lab_load load;
    weft_kind kind;
    uint32_t workers;       /* kind auto: how many it used last */
    bool gil;               /* calls run under a GIL: each process has its own */
    size_t runs;            /* how often it was measured, at least 1 */
    double rate, low, high; /* the median of the runs and its 95 % interval; one run: no interval,
                               both are the rate */
    double cpus;            /* CPU seconds per second, of all workers together, the site apart */
    double waiting;         /* 0 to 1: of the workers' time, in which no CPU worked for them */
    double call_waits; /* 0 to 1: of a call's time, in which it waits for its page, queueing for
                          a CPU not counted; known with one worker, else negative */
    bool tight;        /* the interval reaches at most 5 % to both sides */
    char explain[LAB_EXPLAIN_BYTES]; /* kind auto: why it chose what it chose; others: "" */
};

/* What follows from a load's rows. */
struct lab_verdict {
    enum lab_load load;
    size_t best; /* the index of the winner's row */
    char text[LAB_VERDICT_BYTES];
};

/* A short run whose workers wrote down what they did. */
struct lab_timeline {
    char title[LAB_TITLE_BYTES]; /* "4 threads on one CPU: they take turns" */
    enum lab_load load;
    weft_kind kind;
    uint32_t workers;
    uint32_t cpus; /* that it was allowed to use */
    bool gil;
    int64_t wall_ns;        /* no span ends later */
    struct lab_span *spans; /* by worker, then by begin */
    size_t span_count;
};

/* Threads that add to one counter, without a lock and with one. */
struct lab_race {
    uint32_t threads;   /* 0: it was not run */
    uint64_t expected;  /* how often they have added 1, together */
    uint64_t unlocked;  /* what the counter held then: what is missing was lost */
    uint64_t locked;    /* the same, adding under a lock */
    double unlocked_ns; /* per update */
    double locked_ns;   /* per update */
    uint32_t tries;     /* without the lock, until an update was lost; then or never the last */
};

/* Where it was measured. */
struct lab_machine {
    char cpu[LAB_FACT_BYTES]; /* the model; "" if the system does not say */
    char kernel[LAB_FACT_BYTES];
    uint32_t cpus;         /* that this program may use, by affinity */
    double quota;          /* CPUs that cgroups allow; 0: no limit */
    uint64_t memory_bytes; /* of the machine, or what cgroups allow if that is less */
};

struct lab_results {
    struct lab_machine machine;
    const char *version; /* of the tool */
    char date[32];       /* when it began, UTC: 2026-11-23T22:55:01Z */
    double seconds;      /* that all of it took */
    bool cut;            /* the time was over before all intervals were tight */
    bool interrupted;    /* by Ctrl-C: some rows may be missing */
    double others;       /* CPUs that other programs used meanwhile; negative: not known */

    struct lab_row *rows; /* by load, GIL (without first), kind (as in weft_kind), workers */
    size_t row_count;
    struct lab_verdict verdicts[LAB_LOADS];
    size_t verdict_count; /* of the loads that have rows, in their order */
    struct lab_timeline *timelines;
    size_t timeline_count;
    struct lab_race race;
};

/* How a load is called: "io", "cpu", "mixed", "changing": a constant string. */
const char *lab_load_name(enum lab_load load);

/* The same for people: "I/O-bound", "CPU-bound", "Mixed", "Changing". */
const char *lab_load_title(enum lab_load load);

/* Frees what the results hold, not the struct itself. */
void lab_results_release(struct lab_results *results);

#endif
