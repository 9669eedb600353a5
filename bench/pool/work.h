/* SPDX-License-Identifier: MIT */
/*
 * The work of the pool benchmarks: a call gets an item of bytes and gives as many back, the same
 * with every bit of the first byte turned. Every side makes the items beforehand and checks every
 * result byte by byte when the clock has stopped.
 */
#ifndef BENCH_POOL_WORK_H
#define BENCH_POOL_WORK_H

#include <stdio.h>
#include <string.h>

#include "harness/harness.h"

struct job {
    char *in, *out; /* count items each */
    size_t count, bytes;
};

static inline char turned(char byte)
{
    return (char)(byte ^ 0xff);
}

static inline void work(char *out, const char *in, size_t bytes)
{
    memcpy(out, in, bytes);
    out[0] = turned(in[0]);
}

/* bytes is a multiple of 8. */
static inline void job_fill(const struct job *job)
{
    uint64_t state = 1;
    for (size_t at = 0; at < job->count * job->bytes; at += sizeof state) {
        uint64_t word = bench_random(&state);
        memcpy(job->in + at, &word, sizeof word);
    }
    memset(job->out, 0, job->count * job->bytes);
}

/* Checks all results, and clears them for the next time. */
static inline void job_check(const struct job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        char *out = job->out + i * job->bytes;
        const char *in = job->in + i * job->bytes;
        bench_must(out[0] == turned(in[0]) && memcmp(out + 1, in + 1, job->bytes - 1) == 0,
                   "every call gives its own result");
    }
    memset(job->out, 0, job->count * job->bytes);
}

/* Runs a job several times, and once before without the clock; prints how fast it was. */
static inline void job_measure(const struct job *job, unsigned long times,
                               void (*run)(const struct job *, void *), void *side)
{
    uint64_t took = 0;
    job_fill(job);
    for (unsigned long i = 0; i <= times; i++) {
        uint64_t start = bench_now();
        run(job, side);
        took += i > 0 ? bench_now() - start : 0;
        job_check(job);
    }
    double calls = (double)times * (double)job->count;
    printf("{\"rate\": %.2f, \"gbs\": %.4f}\n", calls * 1e9 / (double)took,
           calls * (double)job->bytes / (double)took);
}

#endif
