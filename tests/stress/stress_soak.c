/* SPDX-License-Identifier: MIT */
/*
 * Everything at once, for as long as WEFT_SOAK_S says (10 s): connections that echo and are closed
 * or dropped, queues between tasks and threads, sleeps, locks, blocking calls, groups inside tasks,
 * files, children, cancellations and deadlines. Each kind of load checks what it gets, and counts
 * its turns: at the end every one must have had some, what went into the queue must have come out,
 * and nothing may have grown since the first half.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>

#include <weft.h>

#include "room.h"
#include "stress.h"
#include "workers.h"

enum { COPIES = 4, LINE = 200 };

static uint64_t seed;
static weft_deadline end;
static weft_listener *listener;
static char address[WEFT_ADDRESS_BYTES];
static weft_queue *queue;
static weft_lock lock = WEFT_LOCK_INIT;
static long turns_under_lock, copy_under_lock; /* guarded by lock */
static atomic_long in, out;

/* ---- connections */

static int echo(weft_call *call)
{
    weft_stream *stream = call->pointer;
    char line[LINE + 1];
    ssize_t n;
    while ((n = weft_stream_read_until(stream, line, sizeof line, '\n', WEFT_FOREVER)) > 0)
        if (weft_stream_write(stream, line, (size_t)n, WEFT_FOREVER) < 0)
            break;
    weft_stream_close(stream);
    return 0;
}

static int serve(weft_call *call)
{
    weft_group *g;
    weft_stream *stream;
    (void)call;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, &(weft_options){ .name = "echo" }), 0);
    int rc;
    while ((rc = weft_listener_accept(listener, &stream, WEFT_FOREVER)) == 0)
        if (weft_group_start(g, echo, stream, WEFT_POINTER) < 0)
            weft_stream_close(stream);
    EXPECT_EQ(rc, -EPIPE);
    weft_group_close(g); /* cancels those whose clients were not done */
    return 0;
}

static void converse(struct dice *dice)
{
    weft_stream *stream;
    char line[LINE + 1], answer[LINE + 1];
    EXPECT_EQ(weft_stream_dial(&stream, address, WEFT_FOREVER), 0);
    for (uint64_t i = dice_below(dice, 20); i > 0; i--) {
        size_t n = 1 + dice_below(dice, LINE - 1);
        memset(line, (int)('a' + dice_below(dice, 26)), n);
        line[n++] = '\n';
        EXPECT_EQ(weft_stream_write(stream, line, n, WEFT_FOREVER), (ssize_t)n);
        if (dice_below(dice, 50) == 0)
            break; /* leaves without waiting for the answer */
        EXPECT_EQ(weft_stream_read_exactly(stream, answer, n, WEFT_FOREVER), (ssize_t)n);
        EXPECT_MEM(line, answer, n);
    }
    weft_stream_close(stream);
}

/* ---- other loads */

static void pass_items(struct dice *dice)
{
    int item = 1;
    bool put = dice_below(dice, 2);
    int rc = put ? weft_queue_put(queue, &item, dice_deadline(dice))
                 : weft_queue_get(queue, &item, dice_deadline(dice));
    if (rc == 0)
        atomic_fetch_add(put ? &in : &out, 1);
    else
        EXPECT_EQ(rc, -ETIMEDOUT);
}

static void exclude(struct dice *dice)
{
    weft_lock_lock(&lock);
    turns_under_lock++;
    if (dice_below(dice, 16) == 0)
        (void)weft_yield();
    copy_under_lock++;
    EXPECT_EQ(turns_under_lock, copy_under_lock);
    EXPECT_EQ(weft_lock_release(&lock), 0);
}

static void sleep_a_little(struct dice *dice)
{
    weft_deadline until = weft_after((int64_t)dice_below(dice, 2 * WEFT_MS));
    EXPECT_EQ(weft_sleep_until(until), 0);
    EXPECT_EQ(weft_left(until), 0);
}

static int square(void *arg)
{
    int n = *(int *)arg;
    return n * n;
}

static void block(struct dice *dice)
{
    int n = (int)dice_below(dice, 1000);
    EXPECT_EQ(weft_blocking(square, &n), n * n);
}

static int add_up(weft_call *call)
{
    int n = *(const int *)call->arg;
    if (n % 3 == 0)
        (void)weft_sleep_until(weft_after(WEFT_MS)); /* cancelled or not */
    return weft_call_return(call, &n, sizeof n);
}

static void gather(struct dice *dice)
{
    weft_group *g;
    weft_future *f;
    int n = 1 + (int)dice_below(dice, 10), sum = 0, got = 0;
    weft_kind kind = dice_below(dice, 8) ? WEFT_TASKS : WEFT_THREADS;
    EXPECT_EQ(weft_group_open(&g, kind, NULL), 0);
    for (int i = 1; i <= n; i++)
        EXPECT_EQ(weft_group_submit(g, add_up, &i, sizeof i, NULL, WEFT_FOREVER), 0);
    if (dice_below(dice, 4) == 0) {
        weft_group_close(g); /* in the middle */
        return;
    }
    while (weft_group_next(g, &f, WEFT_FOREVER) == 0) {
        sum += *(const int *)weft_future_result(f, NULL);
        got++;
        weft_future_close(f);
    }
    EXPECT_EQ(got, n);
    EXPECT_EQ(sum, n * (n + 1) / 2);
    weft_group_close(g);
}

static void read_file(struct dice *dice)
{
    weft_file *file;
    char magic[4];
    (void)dice;
    EXPECT_EQ(weft_file_open(&file, "/proc/self/exe", O_RDONLY, 0), 0);
    EXPECT_EQ(weft_file_read(file, magic, sizeof magic, 0, WEFT_FOREVER), sizeof magic);
    EXPECT_MEM(magic, "\177ELF", sizeof magic);
    weft_file_close(file);
}

static void run_child(struct dice *dice)
{
    static const char *const argv[] = { "cat", NULL };
    weft_child_options options = { .in = WEFT_CHILD_PIPE, .out = WEFT_CHILD_PIPE };
    weft_child *child;
    char data[8];
    if (HARNESS_VALGRIND)
        return; /* it may not know pidfd_open() */
    EXPECT_EQ(weft_child_open(&child, argv, &options), 0);
    EXPECT_EQ(weft_stream_write(weft_child_stream(child, 0), "soak", 4, WEFT_FOREVER), 4);
    if (dice_below(dice, 2)) {
        EXPECT_EQ(weft_stream_read_exactly(weft_child_stream(child, 1), data, 4, WEFT_FOREVER), 4);
        weft_child_close_stream(child, 0);
        EXPECT_EQ(weft_child_wait(child, NULL, WEFT_FOREVER), 0);
    }
    weft_child_close(child); /* ends it if it runs */
    sleep_a_little(dice);
}

static void give_up(struct dice *dice)
{
    weft_scope scope;
    weft_event never = WEFT_EVENT_INIT;
    weft_scope_enter(&scope, weft_after((int64_t)dice_below(dice, WEFT_MS)), 0);
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

static void (*const loads[])(struct dice *) = {
    converse, pass_items, exclude, sleep_a_little, block, gather, read_file, run_child, give_up,
};

enum { LOADS = sizeof loads / sizeof *loads };

static atomic_long turns[LOADS];

static int soak(weft_call *call)
{
    struct dice dice = dice_of(seed, call->index);
    size_t load = call->index % LOADS;
    while (weft_left(end) > 0) {
        loads[load](&dice);
        atomic_fetch_add(&turns[load], 1);
        EXPECT_EQ(weft_yield(), 0);
    }
    return 0;
}

static int64_t soak_ns(void)
{
    const char *s = getenv("WEFT_SOAK_S");
    return (s ? atoll(s) : 10) * WEFT_S;
}

static void run_for(int64_t ns)
{
    weft_group *tasks, *threads;
    end = weft_after(ns);
    EXPECT_EQ(weft_group_open(&tasks, WEFT_TASKS, NULL), 0);
    EXPECT_EQ(weft_group_open(&threads, WEFT_THREADS, NULL), 0);
    for (int i = 0; i < COPIES * LOADS; i++)
        EXPECT_EQ(weft_group_start(tasks, soak, NULL, 0), 0);
    for (int i = 0; i < LOADS; i++)
        EXPECT_EQ(weft_group_start(threads, soak, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(tasks, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_join(threads, WEFT_FOREVER), 0);
    weft_group_close(tasks);
    weft_group_close(threads);
}

TEST(a_mixed_load_goes_on_without_a_mistake_and_without_growth)
{
    weft_group *server;
    seed = stress_seed();
    workers_make_all();
    DESCRIPTORS_COUNT_FROM_HERE();
    EXPECT_EQ(weft_queue_open(&queue, sizeof(int), 16, 0), 0);
    EXPECT_EQ(weft_listener_open(&listener, "127.0.0.1:0", 0), 0);
    EXPECT_EQ(weft_listener_address(listener, address, sizeof address), 0);
    EXPECT_EQ(weft_group_open(&server, WEFT_TASKS, NULL), 0);
    EXPECT_EQ(weft_group_start(server, serve, NULL, 0), 0);
    run_for(soak_ns() / 2);
    struct room before = room_used();
    run_for(soak_ns() / 2);
    room_expect_no_growth(before);
    weft_listener_shutdown(listener);
    EXPECT_EQ(weft_group_join(server, WEFT_FOREVER), 0);
    weft_group_close(server);
    weft_listener_close(listener);
    for (size_t i = 0; i < LOADS; i++)
        EXPECT_GT(atomic_load(&turns[i]), 0);
    EXPECT_EQ(atomic_load(&in) - atomic_load(&out), (long)weft_queue_count(queue));
    weft_queue_close(queue);
}
