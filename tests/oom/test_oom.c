/* SPDX-License-Identifier: MIT */
/* What the library does when it is refused memory, threads, descriptors (refuse.h says how). */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/barrier.h>
#include <weft/child.h>
#include <weft/datagram.h>
#include <weft/file.h>
#include <weft/group.h>
#include <weft/listener.h>
#include <weft/pool.h>
#include <weft/queue.h>
#include <weft/select.h>
#include <weft/self.h>
#include <weft/signal.h>

#include "base/cpus.h"
#include "kinds.h"
#include "refuse.h"
#include "strands.h"

/* ---- operations: 0, or the first error; whatever it is, nothing stays open */

static int shout(weft_call *call)
{
    char text[32];
    strcpy(text, call->arg);
    text[0] ^= 0x20;
    return weft_call_return(call, text, strlen(text) + 1);
}

/* What kept a future from being done: memory, in words of the call. */
static int error_of(weft_future *f)
{
    int rc = weft_future_wait(f, WEFT_FOREVER);
    if (rc == 0)
        EXPECT_STR(weft_future_result(f, NULL), "Hello");
    if (rc == -ECHILD)
        rc = weft_future_outcome(f)->status;
    weft_future_close(f);
    return rc;
}

static int use_group(weft_kind kind)
{
    weft_group *g;
    weft_future *f, *next;
    weft_options options = {
        .name = "a name",
        .context = "a context",
        .context_bytes = WEFT_STRING,
        .on_failure = WEFT_GO_ON,
    };
    int rc = weft_group_open(&g, kind, &options);
    if (rc < 0)
        return rc;
    rc = weft_group_start(g, shout, "hello", WEFT_STRING);
    if (rc == 0)
        rc = weft_group_submit(g, shout, "hello", WEFT_STRING, &f, WEFT_FOREVER);
    if (rc == 0) {
        EXPECT_EQ(weft_group_next(g, &next, WEFT_FOREVER), 0);
        EXPECT_TRUE(next == f);
        weft_future_close(next);
        rc = error_of(f);
    }
    int joined = weft_group_join(g, WEFT_FOREVER);
    weft_outcome failure;
    weft_group_failure(g, &failure);
    if (rc == 0 && joined == -ECHILD)
        rc = failure.status;
    weft_group_close(g);
    return rc;
}

static int enter(weft_call *call, void **ret_worker)
{
    (void)call;
    *ret_worker = NULL;
    return 0;
}

static int use_pool(weft_kind kind)
{
    weft_pool *pool;
    weft_future *f;
    weft_options options = { .name = "a name", .workers = 2, .enter = enter };
    int rc = weft_pool_open(&pool, kind, &options);
    if (rc < 0)
        return rc;
    rc = weft_pool_submit(pool, shout, "hello", WEFT_STRING, &f, WEFT_FOREVER);
    if (rc == 0)
        rc = error_of(f);
    weft_pool_close(pool);
    return rc;
}

enum { NESTING_STACK_BYTES = 1 << 20 };

/* Takes more than half of its stack, and waits for a call that runs on another one then. */
static int wait_for_shout(weft_call *call)
{
    char block[NESTING_STACK_BYTES * 5 / 8];
    weft_future *f;
    __asm__ volatile("" : : "r"(block) : "memory"); /* all of it is used */
    int rc =
        weft_pool_submit(*(weft_pool **)call->arg, shout, "hello", WEFT_STRING, &f, WEFT_FOREVER);
    return rc < 0 ? rc : error_of(f);
}

static int use_nesting(weft_kind kind)
{
    weft_pool *pool;
    weft_future *f = NULL;
    weft_options options = { .workers = 1, .stack_bytes = NESTING_STACK_BYTES };
    int rc = weft_pool_open(&pool, kind, &options);
    if (rc < 0)
        return rc;
    rc = weft_pool_submit(pool, wait_for_shout, &pool, sizeof pool, &f, WEFT_FOREVER);
    if (rc == 0 && weft_future_wait(f, WEFT_FOREVER) < 0)
        rc = weft_future_outcome(f)->status;
    weft_future_close(f);
    weft_pool_close(pool);
    return rc;
}

static int use_map(weft_kind kind)
{
    enum { N = 6 };
    const char *in[N] = { "hello", "hello", "hello", "hello", "hello", "hello" };
    char *out[N];
    weft_outcome outcomes[N];
    weft_pool *pool;
    int rc = weft_pool_open(&pool, kind, &(weft_options){ .workers = 1 });
    if (rc < 0)
        return rc;
    weft_map map = {
        .in = in,
        .count = N,
        .in_bytes = WEFT_STRING,
        .out = out,
        .out_bytes = WEFT_STRING,
        .outcomes = outcomes,
        .on_failure = WEFT_GO_ON,
    };
    rc = weft_pool_map(pool, shout, &map, WEFT_FOREVER);
    for (int i = 0; i < N; i++) {
        EXPECT_NE(outcomes[i].how, WEFT_PENDING);
        if (outcomes[i].how == WEFT_DONE)
            EXPECT_STR(out[i], "Hello");
        else
            EXPECT_TRUE(out[i] == NULL);
        if (rc == -ECHILD && outcomes[i].how == WEFT_FAILED)
            rc = outcomes[i].status;
        free(out[i]);
    }
    weft_pool_close(pool);
    return rc;
}

static weft_barrier barrier;

static int meet(weft_call *call)
{
    (void)call;
    int rc = weft_barrier_wait(&barrier, WEFT_FOREVER);
    return rc < 0 ? rc : 0;
}

/* As many calls that wait for each other as there are workers, of which the pool begins with fewer:
 * it grows, now or later. */
static int use_growing(weft_kind kind)
{
    weft_pool *pool;
    uint32_t most = base_cpus() + 3;
    weft_barrier_init(&barrier, most, NULL, NULL);
    int rc = weft_pool_open(&pool, kind, &(weft_options){ .workers = most });
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; rc == 0 && i < most; i++)
        rc = weft_pool_submit(pool, meet, NULL, 0, NULL, WEFT_FOREVER);
    if (rc < 0)
        weft_barrier_abort(&barrier);
    weft_pool_close(pool);
    return rc;
}

static int use_group_on_pool(weft_kind kind)
{
    weft_pool *pool;
    weft_group *g;
    int rc = weft_pool_open(&pool, kind, &(weft_options){ .workers = 1 });
    if (rc < 0)
        return rc;
    rc = weft_group_open(&g, kind, &(weft_options){ .pool = pool, .on_failure = WEFT_GO_ON });
    if (rc == 0) {
        weft_future *f;
        rc = weft_group_submit(g, shout, "hello", WEFT_STRING, &f, WEFT_FOREVER);
        if (rc == 0)
            rc = error_of(f);
        weft_group_close(g);
    }
    weft_pool_close(pool);
    return rc;
}

static int use_queue(weft_kind kind)
{
    weft_queue *queue;
    int item = 1, rc = weft_queue_open(&queue, sizeof item, 4, 0);
    (void)kind;
    if (rc < 0)
        return rc;
    EXPECT_EQ(weft_queue_put(queue, &item, WEFT_FOREVER), 0);
    rc = weft_queue_fd(queue);
    EXPECT_EQ(weft_queue_get(queue, &item, WEFT_FOREVER), 0);
    weft_queue_close(queue);
    return rc < 0 ? rc : 0;
}

static int use_group_fd(weft_kind kind)
{
    weft_group *g;
    int rc = weft_group_open(&g, kind, NULL);
    if (rc < 0)
        return rc;
    rc = weft_group_fd(g);
    weft_group_close(g);
    return rc < 0 ? rc : 0;
}

static int use_promise(weft_kind kind)
{
    weft_future *f;
    int rc = weft_future_open(&f);
    (void)kind;
    if (rc < 0)
        return rc;
    rc = weft_future_finish(f, 0, "Hello", 6);
    if (rc == 0)
        return error_of(f);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_PENDING); /* it has not ended */
    EXPECT_EQ(weft_future_finish(f, 0, "Hello", 6), 0);
    EXPECT_EQ(error_of(f), 0);
    return rc;
}

static weft_local *local;
static atomic_int local_error;

static void *set_local(void *value)
{
    EXPECT_TRUE(weft_local_get(local) == NULL);
    atomic_store(&local_error, weft_local_set(local, value));
    EXPECT_TRUE(weft_local_get(local) == (atomic_load(&local_error) ? NULL : value));
    return NULL;
}

static int use_local(weft_kind kind)
{
    pthread_t thread;
    int rc = weft_local_open(&local, NULL);
    (void)kind;
    if (rc < 0)
        return rc;
    EXPECT_EQ(__real_pthread_create(&thread, NULL, set_local, &local_error), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    weft_local_close(local);
    return atomic_load(&local_error);
}

static int use_file(weft_kind kind)
{
    weft_file *file;
    char zero = 'x';
    int rc = weft_file_open(&file, "/dev/zero", O_RDONLY, 0);
    (void)kind;
    if (rc < 0)
        return rc;
    EXPECT_EQ(weft_file_read(file, &zero, 1, 0, WEFT_FOREVER), 1);
    EXPECT_EQ(zero, 0);
    weft_file_close(file);
    return 0;
}

static int use_child(weft_kind kind)
{
    const char *const cat[] = { "cat", NULL };
    weft_child *child;
    int rc = weft_child_open(
        &child, cat, &(weft_child_options){ .in = WEFT_CHILD_PIPE, .out = WEFT_CHILD_PIPE });
    (void)kind;
    if (rc < 0)
        return rc;
    weft_child_close_stream(child, 0);
    EXPECT_EQ(weft_child_wait(child, NULL, WEFT_FOREVER), 0);
    weft_child_close(child);
    return 0;
}

static int use_child_run(weft_kind kind)
{
    static const char input[10000];
    const char *const cat[] = { "cat", NULL };
    weft_bytes output[2];
    int rc =
        weft_child_run(cat, &(weft_child_options){ .input = input, .input_bytes = sizeof input },
                       output, NULL, WEFT_FOREVER);
    (void)kind;
    if (rc == 0)
        EXPECT_EQ(output[0].size, sizeof input);
    weft_bytes_free(output, 2);
    return rc;
}

/* Reads a long line, and as much again, from a stream that is about to end. */
static int read_both_ways(weft_stream *from)
{
    static char data[40000];
    ssize_t n = weft_stream_read_until(from, data, sizeof data, '\n', WEFT_FOREVER);
    if (n < 0)
        return (int)n;
    EXPECT_EQ(n, (ssize_t)sizeof data);
    n = weft_stream_read_exactly(from, data, sizeof data, WEFT_FOREVER);
    return n < 0 ? (int)n : 0;
}

static int use_streams(weft_kind kind)
{
    static char data[80000];
    weft_listener *listener;
    weft_stream *to, *from;
    int rc = weft_listener_open(&listener, "unix:@weft-test-oom", 0);
    (void)kind;
    if (rc < 0)
        return rc;
    rc = weft_stream_dial(&to, "unix:@weft-test-oom", WEFT_FOREVER);
    if (rc == 0) {
        rc = weft_listener_accept(listener, &from, WEFT_FOREVER);
        data[sizeof data / 2 - 1] = '\n';
        if (rc == 0) {
            EXPECT_EQ(weft_stream_write(to, data, sizeof data, WEFT_FOREVER), sizeof data);
            rc = read_both_ways(from);
            weft_stream_close(from);
        }
        weft_stream_close(to);
    }
    weft_listener_close(listener);
    return rc;
}

static int use_datagram(weft_kind kind)
{
    weft_datagram *datagram;
    int rc = weft_datagram_open(&datagram, NULL);
    (void)kind;
    if (rc == 0)
        weft_datagram_close(datagram);
    return rc;
}

static int use_signal(void)
{
    weft_queue *queue;
    int signo = 0;
    EXPECT_EQ(weft_queue_open(&queue, sizeof signo, 1, 0), 0);
    int rc = weft_signal_forward(SIGUSR1, queue);
    if (rc == 0) {
        raise(SIGUSR1);
        EXPECT_EQ(weft_queue_get(queue, &signo, WEFT_FOREVER), 0);
        EXPECT_EQ(signo, SIGUSR1);
        EXPECT_EQ(weft_signal_stop(SIGUSR1), 0);
    }
    weft_queue_close(queue);
    return rc;
}

/* ---- each of them */

TEST_EACH_KIND(a_group_without_memory)
{
    EXPECT_GT(refuse_each(use_group, kind, MEMORY, -ENOMEM), 3);
}

TEST_EACH_POOL_KIND(a_pool_without_memory)
{
    EXPECT_GT(refuse_each(use_pool, kind, MEMORY, -ENOMEM), 3);
}

TEST_EACH_POOL_KIND(a_map_without_memory)
{
    EXPECT_GT(refuse_each(use_map, kind, MEMORY, -ENOMEM), 6);
}

TEST_EACH_POOL_KIND(a_group_on_a_pool_without_memory)
{
    EXPECT_GT(refuse_each(use_group_on_pool, kind, MEMORY, -ENOMEM), 3);
}

TEST(a_pool_that_grows_without_memory)
{
    EXPECT_GT(refuse_each(use_growing, WEFT_AUTO, MEMORY, -ENOMEM), 6);
}

/* Those it begins with, its pilot, and those it grows by. */
TEST(a_pool_that_grows_without_threads)
{
    EXPECT_GE(refuse_each(use_growing, WEFT_AUTO, THREADS, -EAGAIN), 5);
}

TEST(a_queue_without_memory)
{
    EXPECT_EQ(refuse_each(use_queue, WEFT_SERIAL, MEMORY, -ENOMEM), 2);
}

TEST(a_promise_without_memory)
{
    EXPECT_EQ(refuse_each(use_promise, WEFT_SERIAL, MEMORY, -ENOMEM), 2);
}

TEST(a_local_without_memory)
{
    EXPECT_EQ(refuse_each(use_local, WEFT_SERIAL, MEMORY, -ENOMEM), 2);
}

TEST(streams_without_memory)
{
    EXPECT_GE(refuse_each(use_streams, WEFT_SERIAL, MEMORY, -ENOMEM), 6);
}

TEST(a_datagram_without_memory)
{
    EXPECT_EQ(refuse_each(use_datagram, WEFT_SERIAL, MEMORY, -ENOMEM), 1);
}

TEST(a_group_without_threads)
{
    EXPECT_EQ(refuse_each(use_group, WEFT_THREADS, THREADS, -EAGAIN), 2);
}

TEST_EACH_POOL_STRAND_KIND(a_pool_without_threads)
{
    int threads = kind == WEFT_TASKS ? 0 : kind == WEFT_PROCESSES ? 1 : 2;
    EXPECT_GE(refuse_each(use_pool, kind, THREADS, -EAGAIN), threads);
}

TEST(a_pool_whose_calls_nest_without_memory)
{
    DESCRIPTORS_MAY_STAY();
    EXPECT_GT(refuse_each(use_nesting, WEFT_THREADS, MEMORY, -ENOMEM), 3);
    EXPECT_GT(refuse_each(use_nesting, WEFT_TASKS, MEMORY, -ENOMEM), 3);
}

TEST(a_pool_whose_calls_nest_without_threads)
{
    EXPECT_EQ(refuse_each(use_nesting, WEFT_THREADS, THREADS, -EAGAIN), 2);
}

TEST_EACH_POOL_STRAND_KIND(a_map_without_threads)
{
    EXPECT_GE(refuse_each(use_map, kind, THREADS, -EAGAIN), kind == WEFT_TASKS ? 0 : 1);
}

TEST(a_queue_without_descriptors)
{
    EXPECT_EQ(refuse_each(use_queue, WEFT_SERIAL, DESCRIPTORS, -EMFILE), 1);
}

TEST(a_group_without_descriptors)
{
    EXPECT_EQ(refuse_each(use_group_fd, WEFT_THREADS, DESCRIPTORS, -EMFILE), 1);
}

TEST(a_file_without_memory)
{
    EXPECT_EQ(refuse_each(use_file, WEFT_SERIAL, MEMORY, -ENOMEM), 1);
}

TEST(a_child_without_memory)
{
    NEEDS_PROCESSES();
    EXPECT_EQ(refuse_each(use_child, WEFT_SERIAL, MEMORY, -ENOMEM), 3); /* two streams and itself */
}

TEST(a_child_that_runs_without_memory)
{
    NEEDS_PROCESSES();
    EXPECT_GT(refuse_each(use_child_run, WEFT_SERIAL, MEMORY, -ENOMEM), 3);
}

TEST(a_signal_without_a_thread_is_refused)
{
    refuse_nth(THREADS, 1);
    EXPECT_EQ(use_signal(), -EAGAIN);
    EXPECT_EQ(refused_since(), 1);
    EXPECT_EQ(use_signal(), 0);
}
