/* SPDX-License-Identifier: MIT */
/*
 * The pool benchmarks by hand: forked workers, a ring in shared memory for each, futexes. Nothing
 * else: no deaths, no deadlines, no functions, no sizes. The limit of what a pool can be.
 *
 * A lane has slots, each with room for an argument and a result. The parent fills slots and
 * publishes them all by one store of head; the worker publishes each result by a store of done.
 * Whoever finds nothing to do looks SPINS times more, says that he sleeps, looks again and sleeps.
 * A doorbell costs a system call only if the other one sleeps; the worker rings it when half of the
 * ring is done, so that it is filled again while he goes on, and when all is.
 *
 * Usage: pool-ring LANES DEPTH CALLS BYTES TIMES SPINS-PLUS-1
 */
#include <stdlib.h>

#include "pool/shared_pages.h"
#include "pool/work.h"

#define LINE 64

enum { LANES_MAX = 64 };

struct bell {
    _Alignas(LINE) uint32_t asleep;
};

struct lane {
    _Alignas(LINE) uint32_t head; /* calls that the parent has published */
    _Alignas(LINE) uint32_t done; /* calls that the worker has */
    struct bell bell;             /* of the worker */
    char *slots;                  /* constant */
    pid_t worker;                 /* the parent's, as what follows */
    uint32_t taken;               /* results that it has taken out */
    uint32_t filled;
    size_t *indices; /* of the calls in the slots */
};

struct rings {
    struct bell bell; /* of the parent */
    struct lane lanes[LANES_MAX];
    size_t lane_count, bytes;
    uint32_t depth;
    unsigned long spins;
};

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static char *slot_of(const struct rings *rings, const struct lane *lane, uint32_t call)
{
    return lane->slots + (size_t)(call % rings->depth) * 2 * rings->bytes;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* After something was published. */
static void ring(struct bell *bell)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&bell->asleep, __ATOMIC_RELAXED)) {
        __atomic_store_n(&bell->asleep, 0, __ATOMIC_RELAXED);
        shared_wake(&bell->asleep);
    }
}

static void say_asleep(struct bell *bell)
{
    __atomic_store_n(&bell->asleep, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- the worker */

static void wait_for_calls(const struct rings *rings, struct lane *lane, uint32_t done)
{
    for (unsigned long i = 0; i < rings->spins; i++, relax())
        if (load(&lane->head) != done)
            return;
    while (load(&lane->head) == done) {
        say_asleep(&lane->bell);
        if (load(&lane->head) == done)
            shared_wait(&lane->bell.asleep, 1);
    }
    __atomic_store_n(&lane->bell.asleep, 0, __ATOMIC_RELAXED);
}

__attribute__((noreturn)) static void serve(struct rings *rings, struct lane *lane)
{
    uint32_t done = 0, rung = 0;
    for (;;) {
        wait_for_calls(rings, lane, done);
        for (uint32_t head = load(&lane->head); done != head; head = load(&lane->head)) {
            char *slot = slot_of(rings, lane, done);
            work(slot + rings->bytes, slot, rings->bytes);
            __atomic_store_n(&lane->done, ++done, __ATOMIC_RELEASE);
            if (done - rung < rings->depth / 2 && done != head)
                continue;
            ring(&rings->bell);
            rung = done;
        }
    }
}

/* ---- the parent */

static uint32_t take(const struct rings *rings, struct lane *lane, const struct job *job)
{
    uint32_t done = load(&lane->done), first = lane->taken;
    for (; lane->taken != done; lane->taken++) {
        size_t call = lane->indices[lane->taken % rings->depth];
        memcpy(job->out + call * job->bytes, slot_of(rings, lane, lane->taken) + rings->bytes,
               job->bytes);
    }
    return done - first;
}

static size_t fill(const struct rings *rings, struct lane *lane, const struct job *job, size_t next)
{
    size_t first = next;
    while (next < job->count && lane->filled - lane->taken < rings->depth) {
        lane->indices[lane->filled % rings->depth] = next;
        memcpy(slot_of(rings, lane, lane->filled), job->in + next++ * job->bytes, job->bytes);
        lane->filled++;
        if (job->bytes >= 4096) /* nobody should wait while more of that size is copied */
            break;
    }
    if (next == first)
        return 0;
    __atomic_store_n(&lane->head, lane->filled, __ATOMIC_RELEASE);
    ring(&lane->bell);
    return next - first;
}

static bool any_done(const struct rings *rings)
{
    for (size_t i = 0; i < rings->lane_count; i++)
        if (load(&rings->lanes[i].done) != rings->lanes[i].taken)
            return true;
    return false;
}

static void wait_for_results(struct rings *rings)
{
    for (unsigned long i = 0; i < rings->spins; i++, relax())
        if (any_done(rings))
            return;
    while (!any_done(rings)) {
        say_asleep(&rings->bell);
        if (!any_done(rings))
            shared_wait(&rings->bell.asleep, 1);
    }
    __atomic_store_n(&rings->bell.asleep, 0, __ATOMIC_RELAXED);
}

static void run(const struct job *job, void *side)
{
    struct rings *rings = side;
    size_t next = 0, ended = 0;
    while (ended < job->count) {
        size_t moved = 0;
        for (size_t i = 0; i < rings->lane_count; i++) {
            size_t taken = take(rings, &rings->lanes[i], job);
            size_t begun = fill(rings, &rings->lanes[i], job, next);
            ended += taken;
            next += begun;
            moved += taken + begun;
        }
        if (moved == 0)
            wait_for_results(rings);
    }
}

static struct rings *open_rings(size_t lanes, uint32_t depth, size_t bytes, unsigned long spins)
{
    struct rings *rings = shared_pages(sizeof *rings);
    rings->lane_count = lanes;
    rings->depth = depth;
    rings->bytes = bytes;
    rings->spins = spins;
    for (size_t i = 0; i < lanes; i++) {
        struct lane *lane = &rings->lanes[i];
        lane->slots = shared_pages(depth * 2 * bytes);
        lane->indices = calloc(depth, sizeof *lane->indices);
        bench_must(lane->indices != NULL, "memory");
    }
    for (size_t i = 0; i < lanes; i++) {
        pid_t worker = fork_child();
        if (worker == 0)
            serve(rings, &rings->lanes[i]);
        rings->lanes[i].worker = worker;
    }
    return rings;
}

int main(int argc, char **argv)
{
    size_t lanes = bench_argument(argc, argv, 1, "LANES");
    uint32_t depth = (uint32_t)bench_argument(argc, argv, 2, "DEPTH");
    struct job job = { .count = bench_argument(argc, argv, 3, "CALLS"),
                       .bytes = bench_argument(argc, argv, 4, "BYTES") };
    unsigned long times = bench_argument(argc, argv, 5, "TIMES");
    unsigned long spins = bench_argument(argc, argv, 6, "SPINS-PLUS-1") - 1;
    bench_must(lanes <= LANES_MAX, "few lanes");
    job.in = malloc(job.count * job.bytes);
    job.out = malloc(job.count * job.bytes);
    bench_must(job.in && job.out, "memory");
    struct rings *rings = open_rings(lanes, depth, job.bytes, spins);
    job_measure(&job, times, run, rings);
    for (size_t i = 0; i < lanes; i++)
        end_child(rings->lanes[i].worker);
    free(job.in);
    free(job.out);
    return 0;
}
