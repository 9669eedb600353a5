/* SPDX-License-Identifier: MIT */
/* A pool of the lab's, and one run of a load on it. */
#ifndef LAB_RUN_H
#define LAB_RUN_H

#include "loads.h"
#include "results.h"

/* Does not change while the lab runs. */
struct lab_bench {
    struct lab_place place;
    uint64_t rounds_per_ms; /* of computing */
    uint32_t workers_max;   /* of kind auto */
    pid_t site;             /* the process of the embedded site */
};

/* One run, as measured. */
struct lab_sample {
    double seconds, cpu_s;
    double page_s, call_s; /* of all calls: waiting for pages, and CPU time in them (which says
                              nothing where several tasks share a thread) */
    double others_s;       /* CPU time of other programs; negative now and then: of coarse clocks */
    size_t calls;
    uint32_t workers; /* that took part */
};

/* What went wrong, in words, for the error line. */
struct lab_trouble {
    char text[256];
};

/* Opens a pool; workers means nothing to kinds serial and auto. Returns 0, to be closed by
 * weft_pool_close(), or -errno. */
int lab_pool_open(weft_pool **ret_pool, const struct lab_bench *bench, weft_kind kind,
                  uint32_t workers);

/* Has every worker open its connection, or at least tries to. Returns 0 or -errno. */
int lab_pool_warm(weft_pool *pool, uint32_t workers, struct lab_trouble *trouble);

/* Runs so many calls of a load and waits for them. Returns 0; -ECANCELED; -ECHILD: a call failed;
 * -errno. */
int lab_run(weft_pool *pool, const struct lab_bench *bench, enum lab_load load, bool gil,
            size_t calls, struct lab_sample *ret, struct lab_trouble *trouble);

/* The job that a load's call does: index of count. */
struct lab_job lab_job_of(const struct lab_bench *bench, enum lab_load load, bool gil, size_t index,
                          size_t count);

#endif
