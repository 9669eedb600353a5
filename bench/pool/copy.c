/* SPDX-License-Identifier: MIT */
/*
 * The bandwidth of memory, as two processes have it: each does the work of half of the calls from
 * one array in shared memory into another, item by item, told to begin and telling its end by a
 * byte through a pipe. The limit of a map over shared arrays.
 *
 * Usage: pool-copy LANES CALLS BYTES TIMES
 */
#include "pool/shared_pages.h"
#include "pool/work.h"

enum { LANES_MAX = 64 };

struct lane {
    int go[2], end[2];
    pid_t worker;
};

struct lanes {
    struct lane lanes[LANES_MAX];
    size_t count;
};

__attribute__((noreturn)) static void serve(const struct lanes *lanes, size_t lane,
                                            const struct job *job)
{
    size_t first = job->count * lane / lanes->count, last = job->count * (lane + 1) / lanes->count;
    char byte;
    while (read(lanes->lanes[lane].go[0], &byte, 1) == 1) {
        for (size_t i = first; i < last; i++)
            work(job->out + i * job->bytes, job->in + i * job->bytes, job->bytes);
        bench_must(write(lanes->lanes[lane].end[1], &byte, 1) == 1, "write");
    }
    _exit(0);
}

static void run(const struct job *job, void *side)
{
    const struct lanes *lanes = side;
    char byte = 0;
    (void)job;
    for (size_t i = 0; i < lanes->count; i++)
        bench_must(write(lanes->lanes[i].go[1], &byte, 1) == 1, "write");
    for (size_t i = 0; i < lanes->count; i++)
        bench_must(read(lanes->lanes[i].end[0], &byte, 1) == 1, "read");
}

int main(int argc, char **argv)
{
    static struct lanes lanes;
    lanes.count = bench_argument(argc, argv, 1, "LANES");
    struct job job = { .count = bench_argument(argc, argv, 2, "CALLS"),
                       .bytes = bench_argument(argc, argv, 3, "BYTES") };
    unsigned long times = bench_argument(argc, argv, 4, "TIMES");
    bench_must(lanes.count <= LANES_MAX, "few lanes");
    job.in = shared_pages(job.count * job.bytes);
    job.out = shared_pages(job.count * job.bytes);
    for (size_t i = 0; i < lanes.count; i++) {
        struct lane *lane = &lanes.lanes[i];
        bench_must(pipe(lane->go) == 0 && pipe(lane->end) == 0, "pipe");
        lane->worker = fork_child();
        if (lane->worker == 0)
            serve(&lanes, i, &job);
    }
    job_measure(&job, times, run, &lanes);
    for (size_t i = 0; i < lanes.count; i++)
        end_child(lanes.lanes[i].worker);
    return 0;
}
