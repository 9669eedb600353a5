/* SPDX-License-Identifier: MIT */
/* What the small programs share; harness.h says what and why. */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double bench_ticks_per_ns(void)
{
    uint64_t ns = bench_now();
    uint64_t ticks = bench_ticks();
    while (bench_now() - ns < 5000000)
        continue;
    ticks = bench_ticks() - ticks;
    return (double)ticks / (double)(bench_now() - ns);
}

unsigned bench_work_rounds(unsigned ns)
{
    const unsigned probe = 200000;
    uint64_t best = UINT64_MAX;
    /* The shortest of many: other programs and a sleeping CPU can only lengthen it. */
    for (int i = 0; i < 30; i++) {
        uint64_t start = bench_now();
        bench_work(probe);
        uint64_t took = bench_now() - start;
        best = took < best ? took : best;
    }
    unsigned rounds = (unsigned)((double)ns * probe / (double)best + 0.5);
    return rounds > 0 ? rounds : 1;
}

void bench_waits_merge(struct bench_waits *into, const struct bench_waits *from)
{
    for (size_t i = 0; i < BENCH_WAIT_BUCKETS; i++)
        into->counts[i] += from->counts[i];
    if (from->longest > into->longest)
        into->longest = from->longest;
}

/* The shortest wait that a bucket holds. */
static uint64_t bucket_ticks(size_t bucket)
{
    if (bucket < 16)
        return bucket;
    size_t power = bucket / 16 + 3;
    return (UINT64_C(16) + bucket % 16) << (power - 4);
}

double bench_waits_percentile(const struct bench_waits *waits, double share)
{
    uint64_t total = 0;
    for (size_t i = 0; i < BENCH_WAIT_BUCKETS; i++)
        total += waits->counts[i];
    uint64_t below = 0;
    size_t bucket = 0;
    for (; bucket < BENCH_WAIT_BUCKETS - 1; bucket++) {
        below += waits->counts[bucket];
        if ((double)below >= share * (double)total)
            break;
    }
    return (double)bucket_ticks(bucket) / bench_ticks_per_ns();
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

uint64_t bench_percentile(uint64_t *values, size_t n, double share)
{
    qsort(values, n, sizeof *values, by_size);
    size_t index = (size_t)(share * (double)n);
    return values[index < n ? index : n - 1];
}

uint64_t bench_memory_bytes(void)
{
    char line[256];
    uint64_t sum_kib = 0;
    unsigned long kib;
    FILE *file = fopen("/proc/self/status", "re");
    bench_must(file != NULL, "opening /proc/self/status");
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %lu", &kib) == 1 || sscanf(line, "VmPTE: %lu", &kib) == 1)
            sum_kib += kib;
    }
    fclose(file);
    return sum_kib * 1024;
}

cpu_set_t bench_nth_cpu(unsigned long i)
{
    cpu_set_t all, one;
    bench_must(sched_getaffinity(getpid(), sizeof all, &all) == 0, "sched_getaffinity");
    i %= (unsigned long)CPU_COUNT(&all);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all) || i-- > 0)
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return one;
}

void bench_bind(unsigned long i)
{
    cpu_set_t cpu = bench_nth_cpu(i);
    bench_must(sched_setaffinity(0, sizeof cpu, &cpu) == 0, "sched_setaffinity");
}

unsigned long bench_argument(int argc, char **argv, int index, const char *name)
{
    if (index >= argc) {
        fprintf(stderr, "%s: argument %d, %s, is missing\n", argv[0], index, name);
        exit(2);
    }
    char *end;
    errno = 0;
    unsigned long value = strtoul(argv[index], &end, 10);
    if (errno != 0 || *end != '\0' || value == 0 || argv[index][0] == '-') {
        fprintf(stderr, "%s: %s must be a number of at least 1, not \"%s\"\n", argv[0], name,
                argv[index]);
        exit(2);
    }
    return value;
}

void bench_failed(const char *what)
{
    fprintf(stderr, "benchmark failed: %s\n", what);
    exit(1);
}
