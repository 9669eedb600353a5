/* SPDX-License-Identifier: MIT */
/*
 * Memory: what calls took is given back, whatever becomes of them, of their workers and of their
 * pools; and a map of very many items takes no more than one of a few. Shared memory is measured as
 * what the files behind the shared mappings have of the system, the program's own as its peak.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include <weft.h>

#include "dying.h"
#include "kinds.h"
#include "strands.h"

#define MIB ((size_t)1 << 20)

/* How much the files behind this process's shared mappings have, in bytes. */
static size_t shared_bytes(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], range[64], path[128];
    ino_t last = 0;
    size_t bytes = 0;
    EXPECT_TRUE(maps != NULL);
    while (fgets(line, sizeof line, maps)) {
        struct stat stat_of_file;
        if (!strstr(line, "/memfd:") || sscanf(line, "%63s", range) != 1)
            continue;
        snprintf(path, sizeof path, "/proc/self/map_files/%s", range);
        if (stat(path, &stat_of_file) < 0)
            SKIP("only root may look at what is mapped");
        if (stat_of_file.st_ino != last)
            bytes += (size_t)stat_of_file.st_blocks * 512;
        last = stat_of_file.st_ino;
    }
    fclose(maps);
    return bytes;
}

static weft_pool *open_pool(void)
{
    weft_pool *pool;
    weft_options options = { .workers = 2, .attempts_max = 2, .grace_ns = WEFT_MS };
    leave_no_cores();
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    return pool;
}

/* Gives as much as it takes, before it ends in the way that its first byte says. */
static int give_and_die(weft_call *call)
{
    int rc = weft_call_return(call, call->arg, call->arg_bytes);
    die_by((enum way) * (const char *)call->arg);
    return rc;
}

static int give_and_wait(weft_call *call)
{
    int rc = weft_call_return(call, call->arg, call->arg_bytes);
    (void)weft_sleep_until(WEFT_FOREVER);
    return rc;
}

static weft_future *submit(weft_pool *pool, weft_fn *fn, enum way way)
{
    static char bytes[MIB];
    weft_future *f;
    bytes[0] = (char)way;
    EXPECT_EQ(weft_pool_submit(pool, fn, bytes, sizeof bytes, &f, WEFT_FOREVER), 0);
    return f;
}

static void wait_and_close(weft_future *f)
{
    (void)!weft_future_wait(f, WEFT_FOREVER);
    weft_future_close(f);
}

/* ---- ways to spend memory */

static void let_die(weft_pool *pool)
{
    weft_future *dies = submit(pool, give_and_die, EXIT_7);
    weft_future *lives = submit(pool, give_and_die, LIVE);
    weft_future *is_killed = submit(pool, give_and_die, KILL_ITSELF);
    wait_and_close(dies);
    weft_future_close(lives); /* with a result that nobody has seen */
    wait_and_close(is_killed);
}

static void cancel_some(weft_pool *pool)
{
    weft_future *futures[4];
    for (int i = 0; i < 4; i++)
        futures[i] = submit(pool, give_and_wait, LIVE);
    for (int i = 3; i >= 0; i--)
        weft_future_cancel(futures[i]);
    for (int i = 0; i < 4; i++)
        wait_and_close(futures[i]);
}

static void map_some(weft_pool *pool)
{
    static char bytes[8][MIB];
    weft_bytes in[8], out[8];
    for (int i = 0; i < 8; i++) {
        bytes[i][0] = (char)(i == 5 ? EXIT_7 : LIVE);
        in[i] = (weft_bytes){ bytes[i], MIB };
    }
    weft_map map = {
        .in = in, .count = 8, .in_bytes = WEFT_BYTES, .out = out, .out_bytes = WEFT_BYTES
    };
    EXPECT_EQ(weft_pool_map(pool, give_and_die, &map, WEFT_FOREVER), -ECHILD);
    weft_bytes_free(out, 8);
}

static void open_and_close(weft_pool *unused)
{
    (void)unused;
    weft_pool *pool = open_pool();
    let_die(pool);
    weft_pool_close(pool);
}

static void open_and_terminate(weft_pool *unused)
{
    weft_future *futures[6];
    (void)unused;
    weft_pool *pool = open_pool();
    for (int i = 0; i < 6; i++)
        futures[i] = submit(pool, give_and_wait, LIVE);
    weft_pool_terminate(pool);
    weft_pool_close(pool);
    for (int i = 0; i < 6; i++)
        weft_future_close(futures[i]);
}

/* After a while of it, more of it takes no more. */
static void expect_no_leak(void (*spend)(weft_pool *))
{
    enum { ROUNDS = HARNESS_SANITIZED ? 10 : 25 };
    weft_pool *pool = open_pool();
    for (int i = 0; i < ROUNDS; i++)
        spend(pool);
    size_t before = shared_bytes();
    for (int i = 0; i < 2 * ROUNDS; i++)
        spend(pool);
    EXPECT_LE(shared_bytes(), before + 12 * MIB); /* the leak of one payload a round is more */
    weft_pool_close(pool);
}

TEST_PROCESSES(deaths_leak_no_shared_memory)
{
    (void)kind;
    expect_no_leak(let_die);
}

TEST_PROCESSES(cancellations_leak_no_shared_memory)
{
    (void)kind;
    expect_no_leak(cancel_some);
}

TEST_PROCESSES(maps_leak_no_shared_memory)
{
    (void)kind;
    expect_no_leak(map_some);
}

TEST_PROCESSES(closed_pools_leave_no_shared_memory)
{
    (void)kind;
    expect_no_leak(open_and_close);
}

TEST_PROCESSES(terminated_pools_leave_no_shared_memory)
{
    (void)kind;
    expect_no_leak(open_and_terminate);
}

/* ---- very many items */

static int add_one(weft_call *call)
{
    uint64_t n = *(const uint64_t *)call->arg + 1;
    return weft_call_return(call, &n, sizeof n);
}

static void add_one_to_all(weft_pool *pool, uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = i;
    weft_map map = {
        .in = numbers,
        .count = count,
        .in_bytes = sizeof *numbers,
        .out = numbers + count,
        .out_bytes = sizeof *numbers,
    };
    EXPECT_EQ(weft_pool_map(pool, add_one, &map, WEFT_FOREVER), 0);
    for (size_t i = 0; i < count; i++)
        if (numbers[count + i] != i + 1)
            FAIL("result %zu is %zu", i, (size_t)numbers[count + i]);
}

/* The peak of the program's memory so far, in bytes. */
static size_t peak_bytes(void)
{
    struct rusage usage;
    EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_maxrss * 1024;
}

TEST_PROCESSES(a_map_of_very_many_items_takes_no_more_memory)
{
    size_t few = 1000, many = HARNESS_SANITIZED ? 20000 : 200000;
    uint64_t *numbers = malloc(2 * many * sizeof *numbers);
    (void)kind;
    EXPECT_TRUE(numbers);
    memset(numbers, 1, 2 * many * sizeof *numbers); /* it is there before it counts */
    weft_pool *pool = open_pool();
    add_one_to_all(pool, numbers, few);
    size_t shared_before = shared_bytes(), peak_before = peak_bytes();
    add_one_to_all(pool, numbers, many);
    EXPECT_LE(shared_bytes(), shared_before + 4 * MIB);
    if (!HARNESS_SANITIZED)
        EXPECT_LE(peak_bytes(), peak_before + 8 * MIB);
    weft_pool_close(pool);
    free(numbers);
}

static int count_bytes(weft_call *call)
{
    return (int)(call->arg_bytes >> 10);
}

/* What lies before a pool in large items is taken as workers come to it, not all at once. */
TEST_PROCESSES(a_map_of_large_items_takes_them_as_it_comes_to_them)
{
    enum { ITEMS = 300, BYTES = 1 << 20 };
    static weft_bytes in[ITEMS];
    static char bytes[BYTES];
    weft_outcome *outcomes = calloc(ITEMS, sizeof *outcomes);
    (void)kind;
    EXPECT_TRUE(outcomes);
    memset(bytes, 'b', sizeof bytes);
    for (int i = 0; i < ITEMS; i++)
        in[i] = (weft_bytes){ bytes, sizeof bytes };
    weft_pool *pool = open_pool();
    weft_map map = { .in = in, .count = ITEMS, .in_bytes = WEFT_BYTES, .outcomes = outcomes };
    size_t shared_before = shared_bytes(), peak_before = peak_bytes();
    EXPECT_EQ(weft_pool_map(pool, count_bytes, &map, WEFT_FOREVER), 0);
    for (int i = 0; i < ITEMS; i++)
        EXPECT_EQ(outcomes[i].status, BYTES >> 10);
    EXPECT_LE(shared_bytes(), shared_before + 64 * MIB);
    if (!HARNESS_SANITIZED)
        EXPECT_LE(peak_bytes(), peak_before + 64 * MIB);
    weft_pool_close(pool);
    free(outcomes);
}
