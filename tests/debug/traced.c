/* SPDX-License-Identifier: MIT */
/*
 * debug/traced.c: a program to be traced: traced WHAT [KIND]. test_trace.py looks at what
 * WEFT_TRACE makes of it. It ends with 0 if all went as it should.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft.h>

#include "park/strand.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(3);                                                                               \
        }                                                                                          \
    } while (0)

enum { ITEMS = 12, MANY = 300000, WORKERS = 2, DYING = 5, ROUNDS = 3000, BUSY = 500, TAKEN = 12 };

/* ---- what calls do */

/* If there are strands of one process that run calls, each of them runs one of the first. */
static weft_barrier meeting;
static bool meets;

static int take_a_nap(weft_call *call)
{
    int n = *(const int *)call->arg * 2;
    if (meets && call->index < WORKERS)
        CHECK(weft_barrier_wait(&meeting, WEFT_FOREVER) >= 0);
    CHECK(weft_sleep_until(weft_after(2 * WEFT_MS)) == 0);
    return call->ret ? weft_call_return(call, &n, sizeof n) : 0;
}

static int do_nothing(weft_call *call)
{
    (void)call;
    return 0;
}

static int fail_on_purpose(weft_call *call)
{
    return weft_call_fail(call, -ENOENT, "on purpose");
}

static int die_at_five(weft_call *call)
{
    if (*(const int *)call->arg == DYING && call->attempt == 1)
        raise(SIGKILL);
    return take_a_nap(call);
}

static int crash(weft_call *call)
{
    (void)call;
    CHECK(weft_sleep_until(weft_after(WEFT_MS)) == 0);
    raise(SIGSEGV);
    return 0;
}

static int call_abort(weft_call *call)
{
    (void)call;
    abort();
}

static int call_exit(weft_call *call)
{
    (void)call;
    exit(7);
}

static int call_underscore_exit(weft_call *call)
{
    (void)call;
    _exit(8);
}

static int kill_the_program(weft_call *call)
{
    (void)call;
    kill(getpid(), SIGKILL);
    return 0;
}

/* ---- pools and groups */

static weft_kind kind_of(const char *name)
{
    return strcmp(name, "threads") == 0  ? WEFT_THREADS
           : strcmp(name, "tasks") == 0  ? WEFT_TASKS
           : strcmp(name, "serial") == 0 ? WEFT_SERIAL
                                         : WEFT_PROCESSES;
}

static void map(weft_kind kind, weft_start start, weft_fn *fn)
{
    int in[ITEMS], out[ITEMS];
    weft_pool *pool;
    for (int i = 0; i < ITEMS; i++)
        in[i] = i;
    meets = kind == WEFT_THREADS || kind == WEFT_TASKS;
    weft_barrier_init(&meeting, WORKERS, NULL, NULL);
    weft_options options = {
        .workers = WORKERS,
        .name = "napper",
        .start = start,
        .attempts_max = kind == WEFT_PROCESSES ? 2 : 0,
    };
    CHECK(weft_pool_open(&pool, kind, &options) == 0);
    weft_map items = {
        .in = in, .count = ITEMS, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
    };
    CHECK(weft_pool_map(pool, fn, &items, WEFT_FOREVER) == 0);
    weft_pool_close(pool);
    for (int i = 0; i < ITEMS; i++)
        CHECK(out[i] == 2 * i);
}

static void one_call(weft_kind kind, weft_fn *fn, const char *name)
{
    weft_group *group;
    CHECK(weft_group_open(&group, kind, &(weft_options){ .name = name }) == 0);
    CHECK(weft_group_start(group, fn, NULL, 0) == 0);
    (void)!weft_group_join(group, WEFT_FOREVER);
    weft_group_close(group);
}

/* So many calls that they cannot all be in the trace. */
static void flood(weft_kind kind)
{
    weft_pool *pool;
    CHECK(weft_pool_open(&pool, kind, &(weft_options){ .workers = WORKERS }) == 0);
    weft_map items = { .count = MANY };
    CHECK(weft_pool_map(pool, do_nothing, &items, WEFT_FOREVER) == 0);
    weft_pool_close(pool);
}

static void tasks_by_the_thousand(void)
{
    weft_group *group;
    CHECK(weft_group_open(&group, WEFT_TASKS, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++)
        CHECK(weft_group_start(group, do_nothing, NULL, 0) == 0);
    CHECK(weft_group_join(group, WEFT_FOREVER) == 0);
    weft_group_close(group);
}

static void *call_once(void *unused)
{
    one_call(WEFT_SERIAL, do_nothing, "once");
    return unused;
}

/* One after the other, of which the library knows nothing but that they call it. */
static void threads_by_the_thousand(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, call_once, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
}

static int wait_for_nothing(weft_call *call)
{
    weft_event never = WEFT_EVENT_INIT;
    (void)call;
    alarm(1); /* which ends the program */
    return weft_event_wait(&never, WEFT_FOREVER);
}

/* Does so much that what it hangs in would not be recorded when it begins. */
static void hang(weft_kind kind)
{
    weft_group *group;
    CHECK(weft_group_open(&group, kind, NULL) == 0);
    for (int i = 0; i < BUSY; i++)
        CHECK(weft_group_start(group, do_nothing, NULL, 0) == 0);
    CHECK(weft_group_start(group, wait_for_nothing, NULL, 0) == 0);
    (void)!weft_group_join(group, WEFT_FOREVER);
}

static void go_when_told(void)
{
    puts("ready");
    fflush(stdout);
    CHECK(getchar() == '\n');
    tasks_by_the_thousand();
}

/* ---- waits, each by its name */

struct shop {
    weft_lock lock;
    weft_condition condition;
    weft_semaphore semaphore;
    weft_event event, second;
    weft_barrier barrier;
    weft_queue *queue;
    weft_future *promise;
    int pipe[2];
    struct strand *waiter; /* published by step */
    uint32_t step;
};

static struct shop shop;

/* About to wait for the next thing. */
static void at(uint32_t step)
{
    shop.waiter = strand_self();
    store_release(&shop.step, step); /* pairs with the acquire in until_it_waits() */
}

static bool waits_now(struct strand *strand)
{
    guard_lock(&strand->hooks_guard);
    bool polls = strand->hooks != NULL;
    guard_unlock(&strand->hooks_guard);
    return polls || strand_waits(load_acquire(&strand->decision));
}

static void until_it_waits(uint32_t step)
{
    while (load_acquire(&shop.step) != step || !waits_now(shop.waiter)) /* with at() */
        CHECK(weft_sleep_until(weft_after(100 * WEFT_US)) == 0);
}

static int wait_for_everything(weft_call *call)
{
    int item = 0;
    char byte;
    weft_stream *stream;
    (void)call;
    weft_self_set_name("the \"waiter\"");
    CHECK(weft_stream_adopt(&stream, shop.pipe[0]) == 0);
    at(1);
    CHECK(weft_event_wait(&shop.event, WEFT_FOREVER) == 0);
    at(2);
    weft_lock_lock(&shop.lock);
    at(3);
    CHECK(weft_condition_wait(&shop.condition, &shop.lock, WEFT_FOREVER) == 0);
    weft_lock_release(&shop.lock);
    at(4);
    CHECK(weft_semaphore_acquire(&shop.semaphore, WEFT_FOREVER) == 0);
    at(5);
    CHECK(weft_queue_get(shop.queue, &item, WEFT_FOREVER) == 0);
    at(6);
    CHECK(weft_future_wait(shop.promise, WEFT_FOREVER) == 0);
    at(7);
    CHECK(weft_stream_read(stream, &byte, 1, WEFT_FOREVER) == 1);
    weft_stream_close(stream);
    CHECK(weft_event_wait(&shop.second, weft_after(WEFT_MS)) == -ETIMEDOUT);
    at(8);
    CHECK(weft_barrier_wait(&shop.barrier, WEFT_FOREVER) >= 0);
    return 0;
}

static int serve_everything(weft_call *call)
{
    int item = 1;
    (void)call;
    until_it_waits(1);
    weft_lock_lock(&shop.lock);
    weft_event_set(&shop.event);
    until_it_waits(2);
    weft_lock_release(&shop.lock);
    until_it_waits(3);
    weft_condition_notify(&shop.condition, 1);
    until_it_waits(4);
    CHECK(weft_semaphore_release(&shop.semaphore, 1) == 0);
    until_it_waits(5);
    CHECK(weft_queue_put(shop.queue, &item, WEFT_FOREVER) == 0);
    until_it_waits(6);
    CHECK(weft_future_finish(shop.promise, 0, NULL, 0) == 0);
    until_it_waits(7);
    CHECK(write(shop.pipe[1], "x", 1) == 1);
    until_it_waits(8);
    CHECK(weft_barrier_wait(&shop.barrier, WEFT_FOREVER) >= 0);
    return 0;
}

static int run_a_program(weft_call *call)
{
    weft_child *child;
    const char *const arguments[] = { "sleep", "0.02", NULL };
    (void)call;
    CHECK(weft_child_open(&child, arguments, NULL) == 0);
    CHECK(weft_child_wait(child, NULL, WEFT_FOREVER) == 0);
    weft_child_close(child);
    return 0;
}

static int nap_in_the_kernel(void *arg)
{
    (void)arg;
    return usleep(2000);
}

static int block(weft_call *call)
{
    (void)call;
    return weft_blocking(nap_in_the_kernel, NULL);
}

static void waits(weft_kind kind)
{
    weft_group *group;
    weft_barrier_init(&shop.barrier, 2, NULL, NULL);
    CHECK(pipe(shop.pipe) == 0);
    CHECK(weft_queue_open(&shop.queue, sizeof(int), 1, 0) == 0);
    CHECK(weft_future_open(&shop.promise) == 0);
    CHECK(weft_group_open(&group, kind, &(weft_options){ .name = "shop" }) == 0);
    CHECK(weft_group_start(group, wait_for_everything, NULL, 0) == 0);
    CHECK(weft_group_start(group, serve_everything, NULL, 0) == 0);
    CHECK(weft_group_start(group, run_a_program, NULL, 0) == 0);
    CHECK(weft_group_start(group, block, NULL, 0) == 0);
    CHECK(weft_group_join(group, WEFT_FOREVER) == 0);
    weft_group_close(group);
    weft_future_close(shop.promise);
    weft_queue_close(shop.queue);
}

/* ---- processes of other kinds */

static void fork_by_oneself(void)
{
    int status;
    CHECK(weft_trace_state() == 1);
    pid_t pid = fork();
    if (pid == 0) {
        int state = weft_trace_state();
        one_call(WEFT_SERIAL, do_nothing, "child");
        exit(state);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    one_call(WEFT_SERIAL, do_nothing, "parent");
}

static int start_threads(weft_call *call)
{
    (void)call;
    one_call(WEFT_THREADS, do_nothing, "inner");
    return 0;
}

/* A call inside of one that a pool's worker runs. */
static int nap_and_call(weft_call *call)
{
    one_call(WEFT_SERIAL, do_nothing, "inner");
    return take_a_nap(call);
}

/* What the library keeps open is closed, and its numbers are given to a pipe. */
static void close_descriptors(int pipes[2])
{
    for (int fd = 3; fd < TAKEN; fd++)
        close(fd);
    CHECK(pipe(pipes) == 0);
    for (int fd = pipes[1] + 1; fd < TAKEN; fd++)
        CHECK(dup2(pipes[1], fd) == fd);
}

/* The pipe ends with the program's descriptors of it: no other process holds it. */
static void see_it_end(const int pipes[2])
{
    struct pollfd end = { .fd = pipes[0] };
    one_call(WEFT_PROCESSES, do_nothing, "before");
    for (int fd = pipes[1]; fd < TAKEN; fd++)
        close(fd);
    CHECK(poll(&end, 1, 10000) == 1 && end.revents == POLLHUP);
}

/* The program that is started is traced, too. */
static void start_another(const char *self)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, self, "map", "threads", NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    one_call(WEFT_SERIAL, do_nothing, "parent");
}

static void go_to_the_background(void)
{
    one_call(WEFT_SERIAL, fail_on_purpose, "before");
    CHECK(weft_daemonize() == 0);
    CHECK(weft_trace_state() == 1);
    map(WEFT_PROCESSES, WEFT_START_ZYGOTE, take_a_nap);
}

static int say_state(void)
{
    int state = weft_trace_state();
    printf("%s\n", state == 1 ? "on" : state ? weft_strerror(state) : "off");
    return 0;
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "state";
    weft_kind kind = kind_of(argc > 2 ? argv[2] : "threads");
    int pipes[2];
    if (strcmp(what, "descriptors") == 0)
        close_descriptors(pipes);
    CHECK(weft_register("take a nap", take_a_nap) == 0);
    CHECK(weft_init() == 0);
    if (strcmp(what, "state") == 0)
        return say_state();
    static const struct {
        const char *what;
        weft_fn *fn;
    } calls[] = {
        { "fail", fail_on_purpose },       { "crash", crash },
        { "abort", call_abort },           { "exit", call_exit },
        { "_exit", call_underscore_exit }, { "kill", kill_the_program },
        { "inside", start_threads },
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(what, calls[i].what) == 0) {
            one_call(kind, calls[i].fn, what);
            return 0;
        }
    if (strcmp(what, "map") == 0)
        map(kind, WEFT_START_ZYGOTE, take_a_nap);
    else if (strcmp(what, "nested") == 0)
        map(kind, WEFT_START_ZYGOTE, nap_and_call);
    else if (strcmp(what, "again") == 0)
        map(kind, WEFT_START_EXEC, take_a_nap);
    else if (strcmp(what, "die") == 0)
        map(kind, WEFT_START_ZYGOTE, die_at_five);
    else if (strcmp(what, "flood") == 0)
        flood(kind);
    else if (strcmp(what, "thousands") == 0)
        tasks_by_the_thousand();
    else if (strcmp(what, "when told") == 0)
        go_when_told();
    else if (strcmp(what, "descriptors") == 0)
        see_it_end(pipes);
    else if (strcmp(what, "threads") == 0)
        threads_by_the_thousand();
    else if (strcmp(what, "hang") == 0)
        hang(kind);
    else if (strcmp(what, "waits") == 0)
        waits(kind);
    else if (strcmp(what, "fork") == 0)
        fork_by_oneself();
    else if (strcmp(what, "another") == 0)
        start_another(argv[0]);
    else if (strcmp(what, "daemon") == 0)
        go_to_the_background();
    else
        return 2;
    return 0;
}
