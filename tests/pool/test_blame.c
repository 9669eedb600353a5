/* SPDX-License-Identifier: MIT */
/*
 * Among thousands of tiny calls, which a pool may hand to its workers by the batch, a death is put
 * down to exactly the call that it interrupted: that one has crashed, each other one has run, once.
 * What ran is counted in shared memory, so that no word of the pool has to be taken for it.
 */
#include <stdatomic.h>
#include <stdio.h>

#include <weft.h>

#include "dying.h"
#include "kinds.h"
#include "strands.h"

enum { N = HARNESS_SANITIZED ? 1000 : 4000 };

struct item {
    int number;
    enum way way;
    uint32_t good_from; /* dies in attempts before this one; 0: dies in each */
    bool waits;         /* until it is cancelled */
};

/* In shared memory. */
struct board {
    atomic_uint ran[N];
    atomic_int waits, open; /* for calls that wait to be killed */
};

static struct board *board;
static struct item items[N];
static int out[N];
static weft_outcome outcomes[N];

static struct board *board_of(const weft_call *call)
{
    return *(struct board *const *)call->context;
}

static int run_or_die(weft_call *call)
{
    const struct item *item = call->arg;
    int result = 3 * item->number + 1;
    EXPECT_EQ(atomic_fetch_add(&board_of(call)->ran[item->number], 1) + 1, call->attempt);
    if (call->attempt < item->good_from || item->good_from == 0)
        die_by(item->way);
    if (item->waits)
        return weft_sleep_until(WEFT_FOREVER);
    return weft_call_return(call, &result, sizeof result);
}

static void prepare(void)
{
    leave_no_cores();
    board = weft_shared_alloc(sizeof *board);
    EXPECT_TRUE(board);
}

static weft_pool *open_pool(uint32_t workers, uint32_t attempts_max)
{
    weft_pool *pool;
    weft_options options = {
        .workers = workers,
        .attempts_max = attempts_max,
        .context = &board,
        .context_bytes = sizeof board,
    };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    return pool;
}

static void all_live(void)
{
    for (int i = 0; i < N; i++) {
        items[i] = (struct item){ .number = i };
        atomic_store(&board->ran[i], 0);
    }
}

static int map_items(weft_pool *pool, weft_failure on_failure)
{
    weft_map map = {
        .in = items,
        .count = N,
        .in_bytes = sizeof *items,
        .out = out,
        .out_bytes = sizeof *out,
        .outcomes = outcomes,
        .on_failure = on_failure,
    };
    memset(out, 0xa5, sizeof out);
    memset(outcomes, 0xa5, sizeof outcomes);
    return weft_pool_map(pool, run_or_die, &map, WEFT_FOREVER);
}

/* Every item ran once, and those that were to die of it have crashed, in their own way. */
static void expect_blame(uint32_t workers, weft_deadline began)
{
    int64_t now = weft_now();
    for (int i = 0; i < N; i++) {
        expect_death(&outcomes[i], items[i].way);
        EXPECT_EQ(outcomes[i].status, items[i].way == LIVE ? 0 : -ECHILD);
        EXPECT_EQ(atomic_load(&board->ran[i]), 1);
        EXPECT_EQ(out[i], items[i].way == LIVE ? 3 * i + 1 : 0);
        EXPECT_LT(outcomes[i].worker, workers);
        EXPECT_GE(outcomes[i].started_ns, began.ns);
        EXPECT_LE(outcomes[i].ended_ns, now);
    }
}

static void map_and_expect_blame(weft_pool *pool, uint32_t workers, int deaths)
{
    weft_deadline began = { weft_now() };
    EXPECT_EQ(map_items(pool, WEFT_GO_ON), deaths ? -ECHILD : 0);
    expect_blame(workers, began);
}

TEST_PROCESSES(one_death_among_thousands_is_put_down_to_its_call)
{
    static const int places[] = { 0, 1, 2, 15, 16, 17, N / 3, N / 2, N - 2, N - 1 };
    (void)kind;
    prepare();
    for (uint32_t workers = 1; workers <= 3; workers++) {
        weft_pool *pool = open_pool(workers, 0);
        all_live();
        map_and_expect_blame(pool, workers, 0);
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            all_live();
            items[places[i]].way = (enum way)(1 + i % (WAYS - 1));
            map_and_expect_blame(pool, workers, 1);
        }
        weft_pool_close(pool);
    }
}

TEST_PROCESSES(each_of_several_deaths_is_put_down_to_its_call)
{
    (void)kind;
    prepare();
    weft_pool *pool = open_pool(2, 0);
    for (int apart = 1; apart <= 32; apart *= 4) {
        all_live();
        for (int i = 0; i < 2 * WAYS; i++) /* close together, in all ways, up to the end */
            items[N - 1 - i * apart].way = (enum way)(1 + i % (WAYS - 1));
        map_and_expect_blame(pool, 2, 2 * WAYS);
    }
    weft_pool_close(pool);
}

TEST_PROCESSES(what_is_good_at_its_last_attempt_is_done)
{
    (void)kind;
    prepare();
    weft_pool *pool = open_pool(2, 3);
    all_live();
    for (int i = 7; i < N; i += N / 10)
        items[i] = (struct item){ i, KILL_ITSELF, 2 + (uint32_t)i % 2, false };
    EXPECT_EQ(map_items(pool, WEFT_GO_ON), 0);
    for (int i = 0; i < N; i++) {
        uint32_t attempts = items[i].way == LIVE ? 1 : items[i].good_from;
        EXPECT_EQ(outcomes[i].how, WEFT_DONE);
        EXPECT_EQ(outcomes[i].attempts, attempts);
        EXPECT_EQ(atomic_load(&board->ran[i]), attempts);
        EXPECT_EQ(out[i], 3 * i + 1);
    }
    weft_pool_close(pool);
}

/* Poison: a call that kills every worker that tries it. */
TEST_PROCESSES(poison_is_given_up_and_harms_nobody_else)
{
    enum { ATTEMPTS = 4 };
    (void)kind;
    prepare();
    weft_pool *pool = open_pool(2, ATTEMPTS);
    all_live();
    for (int i = 5; i < N; i += N / 5)
        items[i].way = (enum way)(1 + i % (WAYS - 1));
    EXPECT_EQ(map_items(pool, WEFT_GO_ON), -ECHILD);
    for (int i = 0; i < N; i++) {
        bool poison = items[i].way != LIVE;
        EXPECT_EQ(outcomes[i].how, poison ? WEFT_CRASHED : WEFT_DONE);
        EXPECT_EQ(outcomes[i].attempts, poison ? ATTEMPTS : 1);
        EXPECT_EQ(atomic_load(&board->ran[i]), poison ? ATTEMPTS : 1);
        EXPECT_EQ(outcomes[i].signal, signal_of(items[i].way));
        EXPECT_EQ(outcomes[i].exit_code, exit_code_of(items[i].way));
        EXPECT_EQ(out[i], poison ? 0 : 3 * i + 1);
    }
    weft_pool_close(pool);
}

TEST_PROCESSES(a_death_may_cancel_the_rest)
{
    (void)kind;
    prepare();
    for (uint32_t workers = 1; workers <= 3; workers++) {
        weft_pool *pool = open_pool(workers, 0);
        all_live();
        items[N / 2].way = ABORT;
        items[N - 1].waits = true; /* the map has not ended before the death is noticed */
        EXPECT_EQ(map_items(pool, WEFT_CANCEL_REST), -ECHILD);
        for (int i = 0; i < N; i++) {
            if (outcomes[i].how == WEFT_CANCELLED) {
                EXPECT_EQ(outcomes[i].status, -ECANCELED);
                EXPECT_LE(atomic_load(&board->ran[i]), outcomes[i].attempts);
            } else {
                expect_death(&outcomes[i], items[i].way);
                EXPECT_EQ(atomic_load(&board->ran[i]), 1);
            }
            EXPECT_EQ(out[i], outcomes[i].how == WEFT_DONE ? 3 * i + 1 : 0);
        }
        EXPECT_EQ(outcomes[N / 2].how, WEFT_CRASHED);
        EXPECT_EQ(outcomes[N - 1].how, WEFT_CANCELLED);
        all_live();
        map_and_expect_blame(pool, workers, 0); /* the pool goes on */
        weft_pool_close(pool);
    }
}

/* ---- several at the same time */

static weft_pool *shared_pool;

/* Each strand has a part of the items to itself, one of which dies in each round. */
static void map_a_part(size_t index)
{
    enum { PART = N / 4 };
    struct item *in = items + index * PART;
    int part_out[PART];
    weft_outcome *ends = outcomes + index * PART;
    for (unsigned round = 0; round < 5; round++) {
        unsigned victim = (unsigned)(index * 17 + round * 31) % PART;
        in[victim].way = KILL_ITSELF;
        weft_map map = {
            .in = in,
            .count = PART,
            .in_bytes = sizeof *in,
            .out = part_out,
            .out_bytes = sizeof *part_out,
            .outcomes = ends,
            .on_failure = WEFT_GO_ON,
        };
        EXPECT_EQ(weft_pool_map(shared_pool, run_or_die, &map, WEFT_FOREVER), -ECHILD);
        for (int i = 0; i < PART; i++) {
            expect_death(&ends[i], in[i].way);
            EXPECT_EQ(part_out[i], in[i].way == LIVE ? 3 * in[i].number + 1 : 0);
            EXPECT_EQ(atomic_exchange(&board->ran[in[i].number], 0), 1);
        }
        in[victim].way = LIVE;
    }
}

TEST_PROCESSES(a_death_in_one_map_is_none_in_another)
{
    (void)kind;
    prepare();
    all_live();
    shared_pool = open_pool(3, 0);
    strands_join(strands_start(4, map_a_part));
    weft_pool_close(shared_pool);
}

/* ---- calls of their own, and groups */

TEST_PROCESSES(futures_put_a_death_down_to_its_call)
{
    enum { CALLS = 500 };
    static weft_future *futures[CALLS];
    (void)kind;
    prepare();
    all_live();
    weft_pool *pool = open_pool(2, 0);
    for (int i = 0; i < CALLS; i++) {
        items[i].way = i % 50 == 25 ? (enum way)(1 + i / 50 % (WAYS - 1)) : LIVE;
        EXPECT_EQ(
            weft_pool_submit(pool, run_or_die, &items[i], sizeof *items, &futures[i], WEFT_FOREVER),
            0);
    }
    for (int i = 0; i < CALLS; i++) {
        EXPECT_EQ(weft_future_wait(futures[i], WEFT_FOREVER), items[i].way == LIVE ? 0 : -ECHILD);
        expect_death(weft_future_outcome(futures[i]), items[i].way);
        EXPECT_EQ(atomic_load(&board->ran[i]), 1);
        weft_future_close(futures[i]);
    }
    weft_pool_close(pool);
}

TEST_PROCESSES(a_group_on_a_pool_tells_which_call_died)
{
    enum { CALLS = 200, VICTIM = 77 };
    weft_group *g;
    weft_outcome failure;
    weft_future *f;
    (void)kind;
    prepare();
    all_live();
    items[VICTIM].way = ABORT;
    weft_pool *pool = open_pool(2, 0);
    weft_options options = { .pool = pool, .on_failure = WEFT_GO_ON };
    EXPECT_EQ(weft_group_open(&g, WEFT_PROCESSES, &options), 0);
    for (int i = 0; i < CALLS; i++)
        EXPECT_EQ(weft_group_submit(g, run_or_die, &items[i], sizeof *items, NULL, WEFT_FOREVER),
                  0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), -ECHILD);
    weft_group_failure(g, &failure);
    expect_death(&failure, ABORT);
    for (int i = 0; i < CALLS; i++) {
        EXPECT_EQ(weft_group_next(g, &f, WEFT_NOW), 0);
        expect_death(weft_future_outcome(f), weft_future_index(f) == VICTIM ? ABORT : LIVE);
        weft_future_close(f);
    }
    EXPECT_EQ(weft_group_next(g, &f, WEFT_NOW), -ENODATA);
    weft_group_close(g);
    weft_pool_close(pool);
}
