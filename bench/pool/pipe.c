/* SPDX-License-Identifier: MIT */
/*
 * The pool benchmarks as one writes them by hand first: forked workers, two pipes for each. The
 * parent has at most DEPTH calls under way with each worker and writes as many at once as there is
 * room for; the worker reads what there is, and answers all of it by one write. Calls that are
 * larger than a pipe holds go one at a time, or both sides would wait to write.
 *
 * Usage: pool-pipe LANES DEPTH CALLS BYTES TIMES
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "pool/shared_pages.h"
#include "pool/work.h"

enum { LANES_MAX = 64, PIPE_BYTES = 1 << 20 };

struct lane {
    int calls, results; /* the parent's ends */
    pid_t worker;
    size_t under_way;
    char *buffer;   /* of the parent */
    size_t partial; /* bytes at its beginning of a message whose rest is still to come */
};

struct pipes {
    struct lane lanes[LANES_MAX];
    size_t lane_count, depth, message_bytes;
};

static void write_all(int fd, const char *bytes, size_t n)
{
    for (ssize_t done; n > 0; bytes += done, n -= (size_t)done)
        bench_must((done = write(fd, bytes, n)) > 0, "write");
}

static size_t read_some(int fd, char *bytes, size_t n)
{
    ssize_t done = read(fd, bytes, n);
    bench_must(done >= 0, "read");
    return (size_t)done;
}

/* A message is the index of the call and its bytes. The result takes the argument's place. */
__attribute__((noreturn)) static void serve(const struct pipes *pipes, int calls, int results)
{
    size_t each = pipes->message_bytes, have = 0, room = each * pipes->depth;
    char *in = malloc(room), *out = malloc(room);
    bench_must(in && out, "memory");
    for (size_t n; (n = read_some(calls, in + have, room - have)) > 0;) {
        have += n;
        size_t whole = have / each;
        for (size_t i = 0; i < whole; i++) {
            memcpy(out + i * each, in + i * each, sizeof(size_t));
            work(out + i * each + sizeof(size_t), in + i * each + sizeof(size_t),
                 each - sizeof(size_t));
        }
        write_all(results, out, whole * each);
        have -= whole * each;
        memmove(in, in + whole * each, have);
    }
    _exit(0);
}

static size_t fill(const struct pipes *pipes, struct lane *lane, const struct job *job, size_t next)
{
    static char *batch;
    size_t each = pipes->message_bytes, n = 0;
    if (!batch)
        bench_must((batch = malloc(each * pipes->depth)) != NULL, "memory");
    for (; lane->under_way < pipes->depth && next < job->count; lane->under_way++, next++, n++) {
        memcpy(batch + n * each, &next, sizeof next);
        memcpy(batch + n * each + sizeof next, job->in + next * job->bytes, job->bytes);
    }
    write_all(lane->calls, batch, n * each);
    return n;
}

static size_t take(const struct pipes *pipes, struct lane *lane, const struct job *job)
{
    size_t each = pipes->message_bytes, call;
    size_t have = lane->partial + read_some(lane->results, lane->buffer + lane->partial,
                                            each * pipes->depth - lane->partial);
    bench_must(have > lane->partial, "a worker has died");
    size_t whole = have / each;
    for (size_t i = 0; i < whole; i++) {
        memcpy(&call, lane->buffer + i * each, sizeof call);
        bench_must(call < job->count, "a result has a call");
        memcpy(job->out + call * job->bytes, lane->buffer + i * each + sizeof call, job->bytes);
    }
    lane->partial = have - whole * each;
    memmove(lane->buffer, lane->buffer + whole * each, lane->partial);
    lane->under_way -= whole;
    return whole;
}

static void run(const struct job *job, void *side)
{
    struct pipes *pipes = side;
    struct pollfd polls[LANES_MAX];
    size_t next = 0, ended = 0;
    for (size_t i = 0; i < pipes->lane_count; i++) {
        polls[i] = (struct pollfd){ .fd = pipes->lanes[i].results, .events = POLLIN };
        next += fill(pipes, &pipes->lanes[i], job, next);
    }
    while (ended < job->count) {
        bench_must(poll(polls, pipes->lane_count, -1) > 0, "poll");
        for (size_t i = 0; i < pipes->lane_count; i++) {
            if (!polls[i].revents)
                continue;
            ended += take(pipes, &pipes->lanes[i], job);
            next += fill(pipes, &pipes->lanes[i], job, next);
        }
    }
}

static void open_lane(struct pipes *pipes, struct lane *lane)
{
    int calls[2], results[2];
    bench_must(pipe2(calls, O_CLOEXEC) == 0 && pipe2(results, O_CLOEXEC) == 0, "pipe");
    fcntl(calls[0], F_SETPIPE_SZ, PIPE_BYTES); /* as large as an ordinary user may have it */
    fcntl(results[0], F_SETPIPE_SZ, PIPE_BYTES);
    lane->buffer = malloc(pipes->message_bytes * pipes->depth);
    bench_must(lane->buffer != NULL, "memory");
    lane->worker = fork_child();
    if (lane->worker == 0) {
        close(calls[1]);
        close(results[0]);
        serve(pipes, calls[0], results[1]);
    }
    close(calls[0]);
    close(results[1]);
    lane->calls = calls[1];
    lane->results = results[0];
}

int main(int argc, char **argv)
{
    static struct pipes pipes;
    pipes.lane_count = bench_argument(argc, argv, 1, "LANES");
    pipes.depth = bench_argument(argc, argv, 2, "DEPTH");
    struct job job = { .count = bench_argument(argc, argv, 3, "CALLS"),
                       .bytes = bench_argument(argc, argv, 4, "BYTES") };
    unsigned long times = bench_argument(argc, argv, 5, "TIMES");
    pipes.message_bytes = sizeof(size_t) + job.bytes;
    bench_must(pipes.lane_count <= LANES_MAX, "few lanes");
    bench_must(pipes.depth == 1 || pipes.depth * pipes.message_bytes <= PIPE_BYTES,
               "what is under way fits into a pipe");
    job.in = malloc(job.count * job.bytes);
    job.out = malloc(job.count * job.bytes);
    bench_must(job.in && job.out, "memory");
    for (size_t i = 0; i < pipes.lane_count; i++)
        open_lane(&pipes, &pipes.lanes[i]);
    job_measure(&job, times, run, &pipes);
    for (size_t i = 0; i < pipes.lane_count; i++)
        end_child(pipes.lanes[i].worker);
    free(job.in);
    free(job.out);
    return 0;
}
