/* SPDX-License-Identifier: MIT */
/*
 * What the small programs share: clocks, busy work of a known length, a record of waits, memory,
 * CPUs and their command line. It knows nothing of weft, so that every side of a comparison uses
 * the same code.
 *
 * Each program does one piece of work once, and prints its figures as one JSON object; repeating,
 * pairing and judging are run.py's.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Nanoseconds on CLOCK_MONOTONIC. */
uint64_t bench_now(void);

/*
 * Ticks of the cheapest clock there is, and how many make a nanosecond. Two threads' ticks are
 * never compared.
 */
static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return bench_now();
#endif
}
double bench_ticks_per_ns(void);

/* Busy work: a chain of multiplications that no compiler can shorten and no CPU can overlap. */
static inline void bench_work(unsigned rounds)
{
    uint64_t x = 1;
    for (unsigned i = 0; i < rounds; i++) {
        x = x * UINT64_C(6364136223846793005) + 1;
        __asm__ volatile("" : "+r"(x));
    }
}

/* How many rounds of it take so many nanoseconds. */
unsigned bench_work_rounds(unsigned ns);

/*
 * How long waits took: 16 buckets to each power of two, so a percentile is right to 6 %. Each
 * thread fills its own; they are merged at the end.
 */
#define BENCH_WAIT_BUCKETS (61 * 16)
struct bench_waits {
    uint64_t counts[BENCH_WAIT_BUCKETS];
    uint64_t longest;
};

static inline void bench_waits_add(struct bench_waits *waits, uint64_t ticks)
{
    unsigned bucket = (unsigned)ticks;
    if (ticks >= 16) {
        unsigned power = 63 - (unsigned)__builtin_clzll(ticks);
        bucket = (power - 3) * 16 + ((ticks >> (power - 4)) & 15);
    }
    waits->counts[bucket]++;
    if (ticks > waits->longest)
        waits->longest = ticks;
}

void bench_waits_merge(struct bench_waits *into, const struct bench_waits *from);

/* The wait that share (0 to 1) of all waits did not exceed, in nanoseconds. */
double bench_waits_percentile(const struct bench_waits *waits, double share);

/* Sorts n values and returns the one that share (0 to 1) of them do not exceed. */
uint64_t bench_percentile(uint64_t *values, size_t n, double share);

/* What this process holds: resident memory and page tables, in bytes. */
uint64_t bench_memory_bytes(void);

/*
 * The i-th CPU that the process may use, counted round and round, and binding the calling thread to
 * it. The main thread tells which CPUs those are, so it must not be bound itself.
 */
cpu_set_t bench_nth_cpu(unsigned long i);
void bench_bind(unsigned long i);

/* Pseudo-random numbers that are the same in every run and every language (splitmix64). */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* argv[index] as a number of at least 1; says what is wrong and exits with 2 otherwise. */
unsigned long bench_argument(int argc, char **argv, int index, const char *name);

/* Exits with 1, naming what failed. */
void bench_failed(const char *what) __attribute__((noreturn));

/* The same unless ok: a benchmark that failed must not yield a figure. */
static inline void bench_must(bool ok, const char *what)
{
    if (!ok)
        bench_failed(what);
}

#ifdef __cplusplus
}
#endif
#endif
