/* SPDX-License-Identifier: MIT */
/*
 * gil-weft uncontended N    enter and leave, where nobody else wants it
 * gil-weft check N          check, where nobody waits
 * gil-weft echo MS          round trips to another process by a thread that leaves around each
 *                           system call, beside a thread that computes; and what that one keeps of
 *                           its speed alone
 * gil-weft blocked MS       the same, but the GIL is released by weft's calls when they block
 * gil-weft answer FD        that other process
 */
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

enum { MESSAGE = 64, WORK = 50 }; /* a check each 50 ns or so */

static weft_gil gil = WEFT_GIL_INIT;
static int fd;
static weft_stream *stream; /* NULL: the system's own calls */
static bool stop;
static unsigned long rounds, trips;

static void enter(void)
{
    bench_must(weft_gil_enter(&gil, WEFT_FOREVER) == 0, "entering");
}

static void leave(void)
{
    bench_must(weft_gil_leave(&gil) == 0, "leaving");
}

static void print_ns(uint64_t start, unsigned long n)
{
    printf("{\"ns\": %.4f}\n", (double)(bench_now() - start) / (double)n);
}

static void run_uncontended(unsigned long n)
{
    uint64_t start = bench_now();
    for (unsigned long i = 0; i < n; i++) {
        if (weft_gil_enter(&gil, WEFT_FOREVER) < 0)
            exit(1);
        weft_gil_leave(&gil);
    }
    print_ns(start, n);
}

static void run_check(unsigned long n)
{
    enter();
    uint64_t start = bench_now();
    for (unsigned long i = 0; i < n; i++)
        weft_gil_check(&gil);
    print_ns(start, n);
    leave();
}

static int answer(int its)
{
    char message[MESSAGE];
    for (ssize_t n; (n = read(its, message, sizeof message)) > 0;)
        if (write(its, message, (size_t)n) != n)
            return 1;
    return 0;
}

static bool stopped(void)
{
    return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static int compute(weft_call *call)
{
    uint64_t x = 1;
    enter();
    for (rounds = 0; !stopped(); rounds++) {
        for (int i = 0; i < WORK; i++)
            x = x * 6364136223846793005 + 1442695040888963407;
        weft_gil_check(&gil);
    }
    leave();
    return weft_call_return(call, &x, sizeof x);
}

/* As an interpreter does: the GIL is given up around each call. */
static void trip_of_own(char *message)
{
    leave();
    bench_must(write(fd, message, MESSAGE) == MESSAGE, "write");
    enter();
    leave();
    bench_must(recv(fd, message, MESSAGE, MSG_WAITALL) == MESSAGE, "recv");
    enter();
}

static void trip_by_weft(char *message)
{
    bench_must(weft_stream_write(stream, message, MESSAGE, WEFT_FOREVER) == MESSAGE, "write");
    bench_must(weft_stream_read_exactly(stream, message, MESSAGE, WEFT_FOREVER) == MESSAGE, "read");
}

static int make_trips(weft_call *call)
{
    char message[MESSAGE] = "echo";
    (void)call;
    enter();
    for (trips = 0; !stopped(); trips++)
        (stream ? trip_by_weft : trip_of_own)(message);
    leave();
    return 0;
}

/* For so long, all together; returns how much was computed in a second. */
static double run_together(bool with_trips, unsigned long ms)
{
    weft_group *group;
    __atomic_store_n(&stop, false, __ATOMIC_RELAXED);
    bench_must(weft_group_open(&group, WEFT_THREADS, NULL) == 0, "a group");
    uint64_t start = bench_now();
    bench_must(weft_group_start(group, compute, NULL, 0) == 0, "a thread");
    if (with_trips)
        bench_must(weft_group_start(group, make_trips, NULL, 0) == 0, "a thread");
    bench_must(weft_sleep_until(weft_after((int64_t)ms * WEFT_MS)) == 0, "sleeping");
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    double took_s = (double)(bench_now() - start) / 1e9;
    bench_must(weft_group_join(group, WEFT_FOREVER) == 0, "the threads");
    weft_group_close(group);
    return (double)rounds / took_s;
}

static void run_echo(unsigned long ms, bool blocked)
{
    int ends[2];
    bench_must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    fflush(stdout);
    pid_t pid = fork();
    bench_must(pid >= 0, "fork");
    if (pid == 0) {
        close(ends[0]);
        _exit(answer(ends[1]));
    }
    close(ends[1]);
    fd = ends[0];
    weft_gil_init(&gil, 0, blocked);
    if (blocked)
        bench_must(weft_stream_adopt(&stream, fd) == 0, "a stream");
    double alone = run_together(false, ms);
    double beside = run_together(true, ms);
    printf("{\"trips\": %.1f, \"kept\": %.4f}\n", (double)trips * 1000 / (double)ms,
           beside / alone);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "uncontended") == 0)
        run_uncontended(bench_argument(argc, argv, 2, "N"));
    else if (strcmp(what, "check") == 0)
        run_check(bench_argument(argc, argv, 2, "N"));
    else if (strcmp(what, "echo") == 0 || strcmp(what, "blocked") == 0)
        run_echo(bench_argument(argc, argv, 2, "MS"), what[0] == 'b');
    else if (strcmp(what, "answer") == 0)
        return answer((int)bench_argument(argc, argv, 2, "FD"));
    else {
        fprintf(stderr, "usage: %s uncontended N | check N | echo MS | blocked MS | answer FD\n",
                argv[0]);
        return 2;
    }
    return 0;
}
