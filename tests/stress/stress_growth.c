/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing again and again leaves nothing: no descriptor, no memory, no stack. Each test
 * warms up, notes what there is, and goes on for some hundred rounds.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <weft.h>

#include "room.h"
#include "stress.h"
#include "workers.h"

enum { ROUNDS = HARNESS_SANITIZED || HARNESS_EMULATED ? 100 : 2000 };

static int nothing(weft_call *call)
{
    return weft_call_return(call, "something", 10);
}

static void use_group(void)
{
    weft_group *g;
    weft_future *f;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, &(weft_options){ .name = "grow" }), 0);
    EXPECT_EQ(weft_group_start(g, nothing, "argument", WEFT_STRING), 0);
    EXPECT_EQ(weft_group_submit(g, nothing, NULL, 0, NULL, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_group_submit(g, nothing, NULL, 0, &f, WEFT_FOREVER), 0);
    EXPECT_GE(weft_group_fd(g), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    weft_future_close(f);
    weft_group_close(g);
}

static void use_pool(void)
{
    weft_pool *pool;
    weft_future *f;
    EXPECT_EQ(weft_pool_open(&pool, WEFT_TASKS, &(weft_options){ .workers = 3 }), 0);
    EXPECT_EQ(weft_pool_submit(pool, nothing, "x", 1, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    weft_future_close(f);
    weft_pool_close(pool);
}

static weft_listener *listener;

static int serve_one(weft_call *call)
{
    weft_stream *stream;
    char line[16];
    (void)call;
    EXPECT_EQ(weft_listener_accept(listener, &stream, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_stream_read_until(stream, line, sizeof line, '\n', WEFT_FOREVER), 6);
    EXPECT_EQ(weft_stream_write(stream, line, 6, WEFT_FOREVER), 6);
    weft_stream_close(stream);
    return 0;
}

static void use_streams(void)
{
    weft_group *g;
    weft_stream *stream;
    char address[WEFT_ADDRESS_BYTES], line[16];
    EXPECT_EQ(weft_listener_open(&listener, "127.0.0.1:0", 0), 0);
    EXPECT_EQ(weft_listener_address(listener, address, sizeof address), 0);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    EXPECT_EQ(weft_group_start(g, serve_one, NULL, 0), 0);
    EXPECT_EQ(weft_stream_dial(&stream, address, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_stream_write(stream, "hello\n", 6, WEFT_FOREVER), 6);
    EXPECT_EQ(weft_stream_read_exactly(stream, line, 6, WEFT_FOREVER), 6);
    EXPECT_MEM(line, "hello\n", 6);
    weft_stream_close(stream);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
    weft_listener_close(listener);
}

static void use_datagrams_and_files(void)
{
    weft_datagram *d;
    weft_file *file;
    char address[WEFT_ADDRESS_BYTES], data[8];
    EXPECT_EQ(weft_datagram_open(&d, "udp:127.0.0.1:0"), 0);
    EXPECT_EQ(weft_datagram_address(d, address, sizeof address), 0);
    EXPECT_EQ(weft_datagram_send(d, address, "ping", 4, WEFT_FOREVER), 4);
    EXPECT_EQ(weft_datagram_receive(d, data, sizeof data, NULL, 0, WEFT_FOREVER), 4);
    weft_datagram_close(d);
    EXPECT_EQ(weft_file_open(&file, "/proc/self/exe", O_RDONLY, 0), 0);
    EXPECT_EQ(weft_file_read(file, data, 4, 0, WEFT_FOREVER), 4);
    EXPECT_MEM(data, "\177ELF", 4);
    weft_file_close(file);
}

static void use_child(void)
{
    static const char *const argv[] = { "cat", NULL };
    weft_child_options options = { .in = WEFT_CHILD_PIPE, .out = WEFT_CHILD_PIPE };
    weft_child *child;
    char data[8];
    EXPECT_EQ(weft_child_open(&child, argv, &options), 0);
    EXPECT_EQ(weft_stream_write(weft_child_stream(child, 0), "meow", 4, WEFT_FOREVER), 4);
    weft_child_close_stream(child, 0);
    EXPECT_EQ(weft_stream_read_exactly(weft_child_stream(child, 1), data, 4, WEFT_FOREVER), 4);
    EXPECT_EQ(weft_child_wait(child, NULL, WEFT_FOREVER), 0);
    weft_child_close(child);
}

static void use_primitives(void)
{
    weft_queue *queue;
    weft_future *promise;
    weft_local *local;
    int item = 1;
    EXPECT_EQ(weft_queue_open(&queue, sizeof item, 4, 0), 0);
    EXPECT_GE(weft_queue_fd(queue), 0);
    EXPECT_EQ(weft_queue_put(queue, &item, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_queue_get(queue, &item, WEFT_FOREVER), 0);
    weft_queue_close(queue);
    EXPECT_EQ(weft_future_open(&promise), 0);
    EXPECT_EQ(weft_future_finish(promise, 0, "done", 4), 0);
    weft_future_close(promise);
    EXPECT_EQ(weft_local_open(&local, NULL), 0);
    EXPECT_EQ(weft_local_set(local, &item), 0);
    EXPECT_EQ(weft_local_set(local, NULL), 0);
    weft_local_close(local);
}

static void (*body)(void);

static int repeat(weft_call *call)
{
    for (int n = *(const int *)call->arg; n > 0; n--)
        body();
    return 0;
}

/* In a task, so that what waits parks; and in this thread. */
static void run(int rounds)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    EXPECT_EQ(weft_group_start(g, repeat, &rounds, sizeof rounds), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
    while (rounds-- > 0)
        body();
}

static void expect_no_growth(void (*fn)(void), int rounds)
{
    body = fn;
    workers_make_all();
    run(rounds / 4 + 1);
    DESCRIPTORS_COUNT_FROM_HERE();
    struct room before = room_used();
    run(rounds);
    room_expect_no_growth(before);
}

TEST(groups_leave_nothing)
{
    expect_no_growth(use_group, ROUNDS);
}

TEST(pools_leave_nothing)
{
    expect_no_growth(use_pool, ROUNDS);
}

TEST(listeners_and_streams_leave_nothing)
{
    expect_no_growth(use_streams, ROUNDS / 4);
}

TEST(datagrams_and_files_leave_nothing)
{
    expect_no_growth(use_datagrams_and_files, ROUNDS);
}

TEST(children_leave_nothing)
{
    NEEDS_PROCESSES();
    expect_no_growth(use_child, ROUNDS / 10);
}

TEST(queues_promises_and_locals_leave_nothing)
{
    expect_no_growth(use_primitives, ROUNDS);
}
