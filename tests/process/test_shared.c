/* SPDX-License-Identifier: MIT */
/* Memory that all processes share. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/atomic.h"
#include "common.h"
#include "process/units.h"

#define SHARED_MAX ((size_t)1 << 30)

TEST(shared_memory_needs_weft_init)
{
    EXPECT_EQ(weft_shared_alloc(1), NULL);
    EXPECT_FALSE(process_sees_memory(&(int){ 0 }));
    EXPECT_TRUE(process_sees_memory(NULL));
    weft_shared_free(NULL);
}

static int double_it(weft_call *call)
{
    long *number = *(long *const *)call->arg, *another = weft_shared_alloc(sizeof *another);
    *another = *number * 2;
    weft_shared_free(number);
    return weft_call_return(call, &another, sizeof another);
}

TEST(shared_memory_is_seen_both_ways_at_one_address)
{
    begin();
    struct worker *process = open_worker();
    long *number = weft_shared_alloc(sizeof *number), *twice;
    *number = 21;
    EXPECT_TRUE(process_sees_memory(number));
    run_value(process, double_it, &number, sizeof number, &twice, sizeof twice);
    EXPECT_EQ(*twice, 42);
    EXPECT_EQ(weft_shared_alloc(sizeof *number), number); /* was freed over there */
    EXPECT_EQ(*number, 0);
    worker_close(process);
}

TEST(shared_memory_is_zeroed_aligned_and_apart)
{
    enum { BLOCKS = 64 };
    static const size_t sizes[] = { 1, 16, 17, 48, 49, 64, 100, 4096, 100000, 130000, 5 << 20 };
    unsigned char *blocks[BLOCKS];
    begin();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int again = 0; again < 2; again++) {
            for (int i = 0; i < BLOCKS; i++) {
                size_t n = sizes[s];
                blocks[i] = weft_shared_alloc(n);
                EXPECT_TRUE(blocks[i]);
                EXPECT_EQ((uintptr_t)blocks[i] % (n < 64 ? 16 : 64), 0);
                for (size_t j = 0; j < n; j += j < 200 || j + 200 > n ? 1 : 61)
                    EXPECT_EQ(blocks[i][j], 0);
                memset(blocks[i], i + 1, n < 200 ? n : 200);
                memset(blocks[i] + n - 1, i + 1, 1);
            }
            for (int i = 0; i < BLOCKS; i++) {
                EXPECT_EQ(blocks[i][0], i + 1);
                EXPECT_EQ(blocks[i][sizes[s] - 1], i + 1);
                weft_shared_free(blocks[i]);
            }
        }
}

TEST(shared_memory_has_limits)
{
    begin();
    EXPECT_EQ(weft_shared_alloc(0), NULL);
    EXPECT_EQ(weft_shared_alloc(SHARED_MAX + 1), NULL);
    EXPECT_EQ(weft_shared_alloc(SIZE_MAX), NULL);
    char *most = weft_shared_alloc(SHARED_MAX);
    EXPECT_TRUE(most);
    most[0] = most[SHARED_MAX - 1] = 1; /* and only two pages of it are used */
    weft_shared_free(most);
}

TEST(shared_memory_ends_with_null_and_recovers)
{
    struct rlimit limit = { 16 << 20, RLIM_INFINITY };
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0); /* which limits the range, too: to 4 MiB */
    begin();
    char *blocks[100];
    size_t n = 0, again = 0;
    for (; n < 100 && (blocks[n] = weft_shared_alloc(60000)); n++)
        memset(blocks[n], 1, 60000);
    EXPECT_GT(n, 50);
    EXPECT_LT(n, 100);
    for (size_t i = 0; i < n; i++)
        weft_shared_free(blocks[i]);
    for (size_t bytes = 60000; again < n && (blocks[again] = weft_shared_alloc(bytes)); again++)
        bytes = bytes > 60 ? bytes / 2 : bytes; /* a smaller one may take what is left of them */
    EXPECT_EQ(again, n);
}

TEST(shared_memory_leaves_a_small_program_its_addresses)
{
    if (HARNESS_SANITIZED)
        SKIP("a sanitizer needs its addresses");
    struct rlimit limit = { 256 << 20, RLIM_INFINITY };
    EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    begin();
    void *own = malloc(100 << 20);
    EXPECT_TRUE(own);
    EXPECT_TRUE(weft_shared_alloc(1 << 20));
    free(own);
    struct worker *process = open_worker();
    EXPECT_EQ(run_number(process, get_pid), worker_id(process));
    worker_close(process);
}

static int free_twice(weft_call *call)
{
    (void)call;
    signal(SIGABRT, SIG_DFL);
    void *memory = weft_shared_alloc(100);
    weft_shared_free(memory);
    weft_shared_free(memory); /* an assertion, in a debug build; otherwise nothing */
    void *one = weft_shared_alloc(100), *two = weft_shared_alloc(100);
    return one == two ? -EINVAL : 0;
}

TEST(shared_memory_freed_twice_is_not_given_to_two)
{
    begin();
    struct worker *process = open_worker();
    start(process, free_twice, NULL, 0);
    if (is_done(process))
        EXPECT_EQ(take_plain(process).status, 0);
    else
        EXPECT_EQ(process->end.signal, SIGABRT);
    worker_close(process);
}

/* ---- several processes at once, some of which are killed */

struct board {
    uint32_t rounds[4];
    uint32_t mistakes;
};

struct churn {
    struct board *board;
    uint32_t who;
};

/* Takes blocks, writes what is theirs alone, looks whether it is still there, gives them back. */
static int churn(weft_call *call)
{
    struct churn self = *(const struct churn *)call->arg;
    enum { HELD = 32 };
    uint64_t *held[HELD] = { 0 }, mark = (uint64_t)getpid() << 32;
    uint32_t random = (uint32_t)getpid() * 2654435761u;
    if (self.who == 0)
        units.kept_max = 256; /* so that pages are given back all the time */
    for (;;) {
        random = random * 1664525u + 1013904223u;
        uint32_t i = random >> 27;
        size_t words = 1 + (random >> 12 & 31) * (random >> 20 & 3 ? 1 : 40);
        if ((random >> 5) % 400 == 0)
            words = 20000 << (random & 1); /* a run of units */
        if (held[i]) {
            for (size_t w = 1; w <= held[i][0] - mark; w += held[i][0] - mark > 1000 ? 999 : 1)
                if (held[i][w] != mark + i)
                    add_relaxed(&self.board->mistakes, 1); /* relaxed: a count */
            weft_shared_free(held[i]);
        }
        held[i] = weft_shared_alloc((words + 1) * sizeof *held[i]);
        if (!held[i])
            return -ENOMEM;
        for (size_t w = 0; w <= words; w++) {
            if (held[i][w] != 0)
                add_relaxed(&self.board->mistakes, 1); /* relaxed: a count */
            held[i][w] = mark + (w ? i : words);
        }
        add_release(&self.board->rounds[self.who], 1); /* release: with the killer's acquire */
    }
}

TEST(shared_memory_survives_the_death_of_any_process)
{
    enum { PROCESSES = 4 };
    begin();
    struct worker *processes[PROCESSES];
    struct board *board = weft_shared_alloc(sizeof *board);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        processes[i] = open_worker();
        start(processes[i], churn, &(struct churn){ board, i }, sizeof(struct churn));
    }
    for (uint32_t kills = 0; kills < (HARNESS_SANITIZED ? 20 : 100); kills++) {
        uint32_t i = kills % PROCESSES, rounds = load_acquire(&board->rounds[i]);
        while (load_acquire(&board->rounds[i]) - rounds < 300 + kills) /* acquire: with churn() */
            sched_yield();
        worker_close(processes[i]);
        processes[i] = open_worker();
        start(processes[i], churn, &(struct churn){ board, i }, sizeof(struct churn));
    }
    for (uint32_t i = 0; i < PROCESSES; i++)
        worker_close(processes[i]);
    EXPECT_EQ(load_relaxed(&board->mistakes), 0); /* relaxed: they are dead */
}

/* Takes two blocks and gives them back in the order in which a list without a count of its changes
 * would be fooled; a block that two hold at once shows. */
static int swap_blocks(weft_call *call)
{
    uint32_t *mistakes = *(uint32_t *const *)call->arg;
    for (int i = 0; i < (HARNESS_SANITIZED ? 100000 : 1000000); i++) {
        uint32_t *held[2] = { weft_shared_alloc(40), weft_shared_alloc(40) };
        for (int j = 0; j < 2; j++)
            if (!held[j] || add_relaxed(held[j], 1) != 0) /* relaxed: a count */
                return (int)add_relaxed(mistakes, 1);
        weft_shared_free(held[0]);
        weft_shared_free(held[1]);
    }
    return 0;
}

TEST(shared_memory_is_never_given_to_two)
{
    enum { PROCESSES = 4 };
    begin();
    struct worker *processes[PROCESSES];
    uint32_t *mistakes = weft_shared_alloc(sizeof *mistakes);
    for (int i = 0; i < PROCESSES; i++) {
        processes[i] = open_worker();
        start(processes[i], swap_blocks, &mistakes, sizeof mistakes);
    }
    for (int i = 0; i < PROCESSES; i++) {
        EXPECT_TRUE(is_done(processes[i]));
        worker_close(processes[i]);
    }
    EXPECT_EQ(*mistakes, 0);
}
