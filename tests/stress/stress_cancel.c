/* SPDX-License-Identifier: MIT */
/*
 * Tasks that are cancelled at a random moment: before they start, on their way into a wait, in it,
 * while somebody wakes them, and on their way out. Every blocking call of the library is among the
 * waits. Nothing may be lost (a permit, an item, a lock) and nothing come twice; every task ends;
 * nothing grows.
 *
 * They come in waves. A wave's tasks are started, then cancelled in random order, while the test
 * itself wakes some by what they wait for. Each wait would last for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

#include "room.h"
#include "stress.h"
#include "workers.h"

enum { WAVE = 200, ALL = HARNESS_EMULATED ? 2000 : HARNESS_SANITIZED ? 6000 : 100000 };

static weft_lock lock = WEFT_LOCK_INIT, condition_lock = WEFT_LOCK_INIT;
static weft_rlock rlock = WEFT_RLOCK_INIT;
static weft_condition condition = WEFT_CONDITION_INIT;
static weft_semaphore semaphore = WEFT_SEMAPHORE_INIT(2);
static weft_event event = WEFT_EVENT_INIT;
static weft_barrier barrier;
static weft_queue *empty_queue, *full_queue;
static weft_future *promise;
static weft_listener *listener;
static char address[WEFT_ADDRESS_BYTES];
static weft_datagram *datagram;
static weft_file *file;
static int quiet_pipe[2];
static long inside;                      /* guarded by lock */
static atomic_long in, out, begun, over; /* items of both queues; tasks */

static void expect_ended(int rc)
{
    if (rc != 0)
        EXPECT_EQ(rc, -ECANCELED);
}

/* ---- what they wait for */

static void in_lock(void)
{
    int rc = weft_lock_acquire(&lock, WEFT_FOREVER);
    expect_ended(rc);
    if (rc < 0)
        return;
    EXPECT_EQ(inside++, 0);
    (void)weft_yield();
    EXPECT_EQ(inside--, 1);
    EXPECT_EQ(weft_lock_release(&lock), 0);
}

static void in_rlock(void)
{
    int rc = weft_rlock_acquire(&rlock, WEFT_FOREVER);
    expect_ended(rc);
    if (rc < 0)
        return;
    (void)weft_sleep_until(weft_after(WEFT_US));
    EXPECT_EQ(weft_rlock_depth(&rlock), 1);
    EXPECT_EQ(weft_rlock_release(&rlock), 0);
}

static void in_condition(void)
{
    static long holders; /* guarded by condition_lock */
    weft_lock_lock(&condition_lock);
    expect_ended(weft_condition_wait(&condition, &condition_lock, WEFT_FOREVER));
    EXPECT_EQ(holders++, 0); /* the lock is held again, however the wait has ended */
    EXPECT_EQ(holders--, 1);
    EXPECT_EQ(weft_lock_release(&condition_lock), 0);
}

static void in_semaphore(void)
{
    int rc = weft_semaphore_acquire(&semaphore, WEFT_FOREVER);
    expect_ended(rc);
    if (rc < 0)
        return;
    (void)weft_yield();
    EXPECT_EQ(weft_semaphore_release(&semaphore, 1), 0);
}

static void in_event(void)
{
    expect_ended(weft_event_wait(&event, WEFT_FOREVER));
}

static void in_barrier(void)
{
    int rc = weft_barrier_wait(&barrier, WEFT_FOREVER);
    EXPECT_TRUE(rc >= 0 || rc == -ECANCELED || rc == -EPIPE);
    if (rc < 0)
        weft_barrier_reset(&barrier);
}

static void in_get(void)
{
    int item, rc = weft_queue_get(empty_queue, &item, WEFT_FOREVER);
    expect_ended(rc);
    if (rc == 0)
        atomic_fetch_add(&out, 1);
}

static void in_put(void)
{
    int item = 1, rc = weft_queue_put(full_queue, &item, WEFT_FOREVER);
    expect_ended(rc);
    if (rc == 0)
        atomic_fetch_add(&in, 1);
}

static void in_select(void)
{
    int got, given = 1;
    weft_case cases[] = {
        { .op = WEFT_GET, .on.queue = empty_queue, .item = &got },
        { .op = WEFT_PUT, .on.queue = full_queue, .item = &given },
        { .op = WEFT_SET, .on.event = &event },
    };
    int rc = weft_select(cases, 3, WEFT_FOREVER);
    if (rc < 0) {
        EXPECT_EQ(rc, -ECANCELED);
        return;
    }
    if (rc < 2)
        EXPECT_EQ(cases[rc].result, 0);
    atomic_fetch_add(&out, rc == 0);
    atomic_fetch_add(&in, rc == 1);
}

static void in_future(void)
{
    expect_ended(weft_future_wait(promise, WEFT_FOREVER));
}

static int sleep_on(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_sleep_until(weft_after(3600 * WEFT_S)), -ECANCELED);
    return 0;
}

static void in_group(bool next)
{
    weft_group *g;
    weft_future *f;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    if (next) {
        int rc = weft_group_submit(g, sleep_on, NULL, 0, NULL, WEFT_FOREVER);
        expect_ended(rc);
        if (rc == 0)
            EXPECT_EQ(weft_group_next(g, &f, WEFT_FOREVER), -ECANCELED);
    } else {
        EXPECT_EQ(weft_group_start(g, sleep_on, NULL, 0), 0);
        EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECANCELED);
    }
    weft_group_close(g);
}

static void in_join(void)
{
    in_group(false);
}

static void in_next(void)
{
    in_group(true);
}

static void in_sleep(void)
{
    EXPECT_EQ(weft_sleep_until(weft_after(3600 * WEFT_S)), -ECANCELED);
}

static void in_yield(void)
{
    while (weft_yield() == 0) {
    }
}

/* A call of libc that takes its time: the wait that is cancelled, not a wait for anything. */
static int nap(void *arg)
{
    usleep(50);
    return *(int *)arg;
}

static void in_blocking(void)
{
    int answer = 42;
    EXPECT_EQ(weft_blocking(nap, &answer), 42);
}

static void in_fd_wait(void)
{
    EXPECT_EQ(weft_fd_wait(quiet_pipe[0], POLLIN, WEFT_FOREVER), -ECANCELED);
}

static void in_stream(bool write)
{
    int fds[2];
    weft_stream *stream;
    static char data[1 << 16];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    EXPECT_EQ(weft_stream_adopt(&stream, fds[0]), 0);
    ssize_t n = 1;
    while (write && n > 0) /* until it is full */
        n = weft_stream_write(stream, data, sizeof data, WEFT_FOREVER);
    if (!write)
        n = weft_stream_read(stream, data, 1, WEFT_FOREVER);
    EXPECT_EQ(n, -ECANCELED);
    weft_stream_close(stream);
    close(fds[1]);
}

static void in_read(void)
{
    in_stream(false);
}

static void in_write(void)
{
    in_stream(true);
}

static void in_accept(void)
{
    weft_stream *stream;
    int rc = weft_listener_accept(listener, &stream, WEFT_FOREVER);
    expect_ended(rc);
    if (rc == 0)
        weft_stream_close(stream);
}

static void in_dial(void)
{
    weft_stream *stream;
    char byte;
    int rc = weft_stream_dial(&stream, address, WEFT_FOREVER);
    expect_ended(rc);
    if (rc < 0)
        return;
    ssize_t n = weft_stream_read(stream, &byte, 1, WEFT_FOREVER);
    EXPECT_TRUE(n == 0 || n == -ECANCELED || n == -ECONNRESET);
    weft_stream_close(stream);
}

static void in_receive(void)
{
    char byte;
    EXPECT_EQ(weft_datagram_receive(datagram, &byte, 1, NULL, 0, WEFT_FOREVER), -ECANCELED);
}

static void in_file(void)
{
    char data[64];
    EXPECT_EQ(weft_file_read(file, data, sizeof data, 0, WEFT_FOREVER), sizeof data);
}

static void in_resolve(void)
{
    char found[4][WEFT_ADDRESS_BYTES];
    int rc = weft_resolve("127.0.0.1", "80", found, 4, WEFT_FOREVER);
    EXPECT_TRUE(rc == 1 || rc == -ECANCELED);
}

static void in_child(void)
{
    static const char *const argv[] = { "sleep", "3600", NULL };
    weft_child_options options = { .out = WEFT_CHILD_PIPE, .grace_ns = -1 };
    weft_child *child;
    EXPECT_EQ(weft_child_open(&child, argv, &options), 0);
    EXPECT_EQ(weft_child_wait(child, NULL, WEFT_FOREVER), -ECANCELED);
    weft_child_close(child);
}

static void (*const waits[])(void) = {
    in_lock,   in_rlock, in_condition, in_semaphore, in_event,   in_barrier,
    in_get,    in_put,   in_select,    in_future,    in_join,    in_next,
    in_sleep,  in_yield, in_blocking,  in_fd_wait,   in_read,    in_write,
    in_accept, in_dial,  in_receive,   in_file,      in_resolve,
};

enum { WAITS = sizeof waits / sizeof *waits, CHILD_EVERY = 400 };

static int wait_for_something(weft_call *call)
{
    atomic_fetch_add(&begun, 1);
    int n = *(const int *)call->arg;
    if (n % CHILD_EVERY == 7 && !HARNESS_VALGRIND) /* which may not know pidfd_open() */
        in_child();
    else
        waits[n % WAITS]();
    atomic_fetch_add(&over, 1);
    return 0;
}

/* ---- the test */

static void open_all(void)
{
    int item = 1;
    weft_barrier_init(&barrier, 3, NULL, NULL);
    EXPECT_EQ(weft_queue_open(&empty_queue, sizeof(int), 4, 0), 0);
    EXPECT_EQ(weft_queue_open(&full_queue, sizeof(int), 4, 0), 0);
    while (weft_queue_put(full_queue, &item, WEFT_NOW) == 0)
        atomic_fetch_add(&in, 1);
    EXPECT_EQ(weft_future_open(&promise), 0);
    EXPECT_EQ(weft_listener_open(&listener, "127.0.0.1:0", 0), 0);
    EXPECT_EQ(weft_listener_address(listener, address, sizeof address), 0);
    EXPECT_EQ(weft_datagram_open(&datagram, "udp:127.0.0.1:0"), 0);
    EXPECT_EQ(weft_file_open(&file, "/proc/self/exe", O_RDONLY, 0), 0);
    EXPECT_EQ(pipe2(quiet_pipe, O_CLOEXEC), 0);
}

static void close_all(void)
{
    EXPECT_EQ(atomic_load(&in) - atomic_load(&out),
              (long)(weft_queue_count(empty_queue) + weft_queue_count(full_queue)));
    EXPECT_EQ(weft_semaphore_value(&semaphore), 2);
    EXPECT_FALSE(weft_lock_locked(&lock));
    EXPECT_FALSE(weft_rlock_locked(&rlock));
    EXPECT_EQ(weft_barrier_waiting(&barrier), 0);
    weft_queue_close(empty_queue);
    weft_queue_close(full_queue);
    weft_future_close(promise);
    weft_listener_close(listener);
    weft_datagram_close(datagram);
    weft_file_close(file);
    close(quiet_pipe[0]);
    close(quiet_pipe[1]);
}

/* Wakes somebody by what he waits for, or nobody. */
static void wake_some(struct dice *dice)
{
    int item = 1;
    switch (dice_below(dice, 12)) {
    case 0:
        weft_event_set(&event);
        weft_event_clear(&event);
        break;
    case 1:
        weft_condition_notify(&condition, 1);
        break;
    case 2:
        atomic_fetch_add(&in, weft_queue_put(empty_queue, &item, WEFT_NOW) == 0);
        break;
    case 3:
        atomic_fetch_add(&out, weft_queue_get(full_queue, &item, WEFT_NOW) == 0);
        break;
    case 4:
        strands_yield();
        break;
    default:
        break;
    }
}

static void run_wave(int first, struct dice *dice)
{
    weft_group *g;
    weft_future *futures[WAVE];
    int goal = atomic_load(&begun) + (int)dice_below(dice, WAVE + 1);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, &(weft_options){ .on_failure = WEFT_GO_ON }), 0);
    for (int i = 0; i < WAVE; i++)
        EXPECT_EQ(weft_group_submit(g, wait_for_something, &(int){ first + i }, sizeof(int),
                                    &futures[i], WEFT_FOREVER),
                  0);
    UNTIL(atomic_load(&begun) >= goal); /* so that not only those are cancelled that never began */
    for (int left = WAVE; left > 0; left--) {
        size_t i = dice_below(dice, (uint64_t)left);
        weft_future *chosen = futures[i];
        futures[i] = futures[left - 1];
        futures[left - 1] = chosen; /* the cancelled ones are at the end */
        wake_some(dice);
        weft_future_cancel(chosen);
    }
    for (int i = 0; i < WAVE; i++) {
        EXPECT_TRUE(weft_future_wait(futures[i], WEFT_FOREVER) <= 0);
        weft_how how = weft_future_outcome(futures[i])->how;
        EXPECT_TRUE(how == WEFT_DONE || how == WEFT_CANCELLED);
        weft_future_close(futures[i]);
    }
    weft_group_close(g);
    EXPECT_EQ(atomic_load(&begun), atomic_load(&over));
}

TEST(tasks_end_when_cancelled_at_a_random_moment_and_lose_nothing)
{
    struct room before = { 0 };
    struct dice dice = dice_of(stress_seed(), 0);
    workers_make_all();
    DESCRIPTORS_COUNT_FROM_HERE();
    open_all();
    for (int n = 0; n < ALL; n += WAVE) {
        run_wave(n, &dice);
        if (n == ALL / WAVE / 4 * WAVE)
            before = room_used();
    }
    room_expect_no_growth(before);
    EXPECT_GT(atomic_load(&begun), ALL / 4);
    close_all();
}
