/* SPDX-License-Identifier: MIT */
/*
 * How many workers a pool of kind auto decides to have, over series of samples: those of simulated
 * loads, which answer to its decisions as a machine would, and some that no machine would give.
 * Nothing here runs or waits: a second is a hundred calls of a function.
 */
#include <stdint.h>

#include <weft/time.h>

#include "harness.h"
#include "pool/auto_decide.h"

#define MS WEFT_MS

/* A machine, the calls that it runs, and what has been decided. */
struct plant {
    /* The calls: of each one's time, how much it is on a CPU, and waits for a GIL if there is one.
     */
    double share;
    double noise; /* 0 to 1: by how much a window's share may differ, and is seen to */
    bool gil;
    uint32_t callers; /* how many calls there are at once */

    /* The machine. */
    double cpus;
    double taken;   /* CPUs that others use */
    bool quota;     /* cpus are a quota's: nothing runs in half of each 100 ms, if all is used */
    bool blind;     /* it has no schedstat */
    bool stateless; /* nobody can be asked for a state */
    uint32_t most;
    bool movable;

    struct auto_state state;
    double owed_ns; /* delays that are not over, so not told */
    int64_t now_ns, settled_ns;
    uint32_t turns; /* how often the size went the other way */
    int direction;
    uint64_t dice;
};

static struct plant plant_of(double share, double cpus)
{
    return (struct plant){
        .share = share, .callers = 2000, .cpus = cpus, .most = 256, .dice = 88172645463325252u
    };
}

/* From 0 to 1. */
static double roll(struct plant *plant)
{
    plant->dice ^= plant->dice << 13;
    plant->dice ^= plant->dice >> 7;
    plant->dice ^= plant->dice << 17;
    return (double)(plant->dice >> 11) / (double)(1ull << 53);
}

/* What a window of that length would show. */
static struct auto_sample sample_of(struct plant *plant, int64_t wall)
{
    uint32_t size = plant->state.size ? plant->state.size
                                      : auto_base((uint32_t)(plant->cpus * 1000), plant->most);
    uint32_t running = size < plant->callers ? size : plant->callers;
    double share = plant->share * (1 + plant->noise * (2 * roll(plant) - 1));
    share = share > 1 ? 1 : share;
    double free = plant->cpus - plant->taken;
    bool throttled = plant->quota && plant->now_ns / (50 * MS) % 2 && running * share >= free;
    double busy = (double)running * (double)wall;
    double cpu = throttled ? 0 : busy * share;
    double room = (plant->quota ? 2 : 1) * (plant->gil && free > 1 ? 1 : free) * (double)wall;
    cpu = cpu > room ? room : cpu;
    double delay = share > 0 && !throttled ? busy - cpu / share : throttled ? busy * share : 0;
    double gil = plant->gil ? delay : 0;
    delay = plant->gil ? 0 : delay;
    uint32_t asked = plant->stateless || !running ? 0 : running < 16 ? running : 16;
    double runnable = busy > 0 ? asked * (cpu + delay) / busy : 0;
    plant->owed_ns += delay;
    double told = plant->owed_ns / 3; /* the rest is not over */
    plant->owed_ns -= told;
    return (struct auto_sample){ .wall_ns = wall,
                                 .busy_ns = (int64_t)busy,
                                 .cpu_ns = (int64_t)cpu,
                                 .delay_ns = plant->blind ? -1 : (int64_t)told,
                                 .gil_ns = (int64_t)gil,
                                 .looked_at = size,
                                 .workers = size,
                                 .running = running,
                                 .asked = asked,
                                 .runnable = (uint32_t)(runnable + roll(plant)),
                                 .queued = plant->callers - running,
                                 .cpus = (uint32_t)(plant->cpus * 1000),
                                 .quota = plant->quota,
                                 .most = plant->most,
                                 .limit = AUTO_LIMIT_OPTION,
                                 .movable = plant->movable };
}

static void step(struct plant *plant)
{
    struct auto_state *state = &plant->state;
    struct auto_sample sample = sample_of(plant, state->window_ns ? state->window_ns : 10 * MS);
    uint32_t before = state->size;
    plant->now_ns += sample.wall_ns;
    auto_decide(state, &sample);
    int direction = before ? (state->size > before) - (state->size < before) : 0;
    plant->turns += plant->direction && direction && direction != plant->direction;
    if (direction) {
        plant->direction = direction;
        plant->settled_ns = plant->now_ns;
    }
    EXPECT_GE(state->size, 1);
    EXPECT_LE(state->size, plant->most);
    EXPECT_GE(state->window_ns, 10 * MS);
    EXPECT_LE(state->window_ns, 50 * MS);
}

static void run(struct plant *plant, int64_t ns)
{
    int64_t end = plant->now_ns + ns;
    plant->settled_ns = plant->now_ns;
    plant->turns = 0;
    plant->direction = 0;
    int64_t from = plant->now_ns;
    while (plant->now_ns < end)
        step(plant);
    plant->settled_ns -= from;
}

/* Runs it for three seconds: it is there within half a second, and stays. */
static void expect_settled(struct plant *plant, uint32_t least, uint32_t most)
{
    run(plant, 3 * WEFT_S);
    EXPECT_GE(plant->state.size, least);
    EXPECT_LE(plant->state.size, most);
    EXPECT_LE(plant->settled_ns, WEFT_S / 2);
    EXPECT_EQ(plant->turns, 0);
}

/* ---- steady loads */

TEST(calls_that_compute_get_a_worker_per_cpu)
{
    struct plant plant = plant_of(1, 2);
    expect_settled(&plant, 2, 2);
    EXPECT_EQ(plant.state.waiting, 0);
    EXPECT_EQ(plant.settled_ns, 0);
}

TEST(calls_that_wait_get_as_many_as_keep_the_cpus_busy)
{
    static const double shares[] = { 0.5, 0.25, 0.1, 0.05, 0.02 };
    for (unsigned i = 0; i < sizeof shares / sizeof *shares; i++) {
        for (int cpus = 1; cpus <= 16; cpus *= 2) {
            struct plant plant = plant_of(shares[i], cpus);
            plant.most = 4096;
            uint32_t fair = (uint32_t)(cpus / shares[i] + 0.5);
            expect_settled(&plant, fair * 9 / 10, fair * 2);
            EXPECT_GE(plant.state.waiting, (uint32_t)(100 * (1 - shares[i])) - 2);
            EXPECT_LE(plant.state.waiting, (uint32_t)(100 * (1 - shares[i])) + 2);
        }
    }
}

TEST(calls_that_only_wait_get_all_there_may_be)
{
    struct plant plant = plant_of(0.0001, 2);
    expect_settled(&plant, 256, 256);
    EXPECT_TRUE(plant.state.limited);
    EXPECT_EQ(plant.state.limit, AUTO_LIMIT_OPTION);
    EXPECT_EQ(plant.state.waiting, 100);
}

TEST(calls_that_never_were_on_a_cpu_wait)
{
    struct plant plant = plant_of(0, 2);
    expect_settled(&plant, 256, 256);
}

TEST(a_pool_that_is_too_large_for_what_it_computes_shrinks)
{
    struct plant plant = plant_of(1, 2);
    step(&plant);
    plant.state.size = 200;
    run(&plant, 3 * WEFT_S);
    EXPECT_EQ(plant.state.size, 2);
    EXPECT_LE(plant.settled_ns, WEFT_S / 2);
}

/* As the pilot does it, who knows how many workers there are. */
TEST(one_window_is_no_reason_to_shrink)
{
    struct plant plant = plant_of(0.02, 2);
    plant.state.size = 2;
    run(&plant, 100 * MS);
    uint32_t size = plant.state.size;
    EXPECT_GE(size, 50);
    plant.share = 1;
    for (int i = 0; i < 3; i++)
        step(&plant);
    EXPECT_EQ(plant.state.size, size);
    run(&plant, WEFT_S / 2);
    EXPECT_EQ(plant.state.size, 2);
}

/* ---- what there is room for */

TEST(nobody_is_hired_for_whom_there_is_no_call)
{
    struct plant plant = plant_of(0.01, 2);
    plant.callers = 7;
    expect_settled(&plant, 7, 7);
    plant.callers = 2;
    run(&plant, 3 * WEFT_S);
    EXPECT_EQ(plant.state.size, 2);
}

TEST(a_pool_without_calls_goes_back_to_what_it_began_with)
{
    struct plant plant = plant_of(0.01, 2);
    expect_settled(&plant, 100, 256);
    plant.callers = 0;
    run(&plant, 5 * WEFT_S);
    EXPECT_EQ(plant.state.size, 2);
    EXPECT_LE(plant.settled_ns, 2500 * MS);
    EXPECT_EQ(plant.state.waiting, 99);
}

TEST(a_pool_that_has_hardly_grown_goes_back_as_well)
{
    for (uint32_t cpus = 1; cpus <= 16; cpus *= 2) {
        struct plant plant = plant_of(0.01, cpus);
        plant.callers = cpus + 1;
        expect_settled(&plant, cpus + 1, cpus + 1);
        plant.callers = cpus - 1;
        run(&plant, 5 * WEFT_S);
        EXPECT_EQ(plant.state.size, cpus);
    }
}

TEST(a_limit_that_comes_down_takes_effect_at_once)
{
    struct plant plant = plant_of(0.01, 2);
    expect_settled(&plant, 150, 256);
    plant.most = 10;
    struct auto_sample sample = sample_of(&plant, 10 * MS);
    auto_decide(&plant.state, &sample);
    EXPECT_EQ(plant.state.size, 10);
    expect_settled(&plant, 10, 10);
    EXPECT_TRUE(plant.state.limited);
}

TEST(a_limit_that_is_not_reached_is_not_named)
{
    struct plant plant = plant_of(0.5, 2);
    expect_settled(&plant, 4, 8);
    EXPECT_FALSE(plant.state.limited);
}

TEST(a_limit_below_the_cpus_is_kept)
{
    struct plant plant = plant_of(0.5, 8);
    plant.most = 3;
    expect_settled(&plant, 3, 3);
}

TEST(part_of_a_cpu_counts_as_part)
{
    struct plant plant = plant_of(0.1, 0.5);
    expect_settled(&plant, 4, 10);
    plant = plant_of(1, 0.5);
    expect_settled(&plant, 1, 1);
    plant = plant_of(1, 2.5);
    expect_settled(&plant, 3, 3);
}

TEST(threads_that_have_no_quota_left_do_not_wait_for_the_world)
{
    struct plant plant = plant_of(1, 1);
    plant.quota = true;
    run(&plant, 10 * WEFT_S);
    EXPECT_LE(plant.state.size, 2);
    plant = plant_of(0.1, 1);
    plant.quota = true;
    run(&plant, 10 * WEFT_S);
    EXPECT_GE(plant.state.size, 6);
    EXPECT_LE(plant.state.size, 24);
}

TEST(what_others_take_of_the_cpus_is_no_waiting)
{
    struct plant plant = plant_of(1, 2);
    plant.taken = 1.5;
    expect_settled(&plant, 2, 2);
}

/* ---- what cannot be known */

TEST(without_a_schedstat_a_pool_that_computes_stays_small)
{
    struct plant plant = plant_of(1, 2);
    plant.blind = true;
    expect_settled(&plant, 2, 2);
    plant.stateless = true;
    expect_settled(&plant, 2, 2);
}

TEST(without_a_schedstat_a_pool_that_waits_grows)
{
    struct plant plant = plant_of(0.05, 2);
    plant.blind = plant.stateless = true;
    run(&plant, 3 * WEFT_S);
    EXPECT_GE(plant.state.size, 30);
    EXPECT_LE(plant.state.size, 90);
    plant.share = 1;
    run(&plant, 10 * WEFT_S);
    EXPECT_LE(plant.state.size, 3);
}

/* ---- loads that change */

TEST(a_load_that_changes_is_followed)
{
    struct plant plant = plant_of(0.01, 2);
    for (int i = 0; i < 4; i++) {
        plant.share = 0.01;
        run(&plant, 3 * WEFT_S);
        EXPECT_GE(plant.state.size, 180);
        EXPECT_LE(plant.settled_ns, WEFT_S / 2);
        plant.share = 1;
        run(&plant, 3 * WEFT_S);
        EXPECT_EQ(plant.state.size, 2);
        EXPECT_LE(plant.settled_ns, WEFT_S / 2);
    }
}

/* Loads that go to and fro, at every pace from a window to many. */
TEST(a_load_that_goes_to_and_fro_finds_the_pool_at_rest)
{
    for (int64_t period = 10 * MS; period < 1500 * MS; period = period * 4 / 3) {
        struct plant plant = plant_of(0.01, 2);
        uint32_t turns = 0;
        for (int64_t at = 0; at < 60 * WEFT_S; at += 2 * period) {
            plant.share = 0.01;
            run(&plant, period);
            turns += plant.turns + (plant.direction < 0);
            plant.share = 1;
            run(&plant, period);
            turns += plant.turns + (plant.direction < 0);
        }
        EXPECT_LE(turns, 16); /* of shrinking, as often of growing */
        EXPECT_GE(plant.state.size, 2);
    }
}

TEST(noise_does_not_move_it)
{
    for (int tenths = 1; tenths <= 5; tenths++) {
        struct plant plant = plant_of(0.1, 2);
        plant.noise = tenths / 10.0;
        run(&plant, WEFT_S);
        uint32_t size = plant.state.size;
        EXPECT_GE(size, 15);
        EXPECT_LE(size, 50);
        run(&plant, 20 * WEFT_S);
        EXPECT_LE(plant.turns, 2);
    }
}

TEST(noise_does_not_move_what_computes)
{
    struct plant plant = plant_of(0.95, 2);
    plant.noise = 0.1;
    expect_settled(&plant, 2, 3);
}

/* ---- a GIL */

TEST(calls_that_fight_over_a_gil_move_to_processes)
{
    struct plant plant = plant_of(1, 2);
    plant.gil = plant.movable = true;
    run(&plant, WEFT_S / 2);
    EXPECT_TRUE(plant.state.fights);
    EXPECT_TRUE(plant.state.processes);
}

TEST(calls_that_cannot_move_stay)
{
    struct plant plant = plant_of(1, 2);
    plant.gil = true;
    run(&plant, WEFT_S / 2);
    EXPECT_TRUE(plant.state.fights);
    EXPECT_FALSE(plant.state.processes);
    EXPECT_EQ(plant.state.size, 2);
}

TEST(calls_that_wait_share_a_gil_in_peace)
{
    struct plant plant = plant_of(0.05, 2);
    plant.gil = plant.movable = true;
    run(&plant, 2 * WEFT_S);
    EXPECT_FALSE(plant.state.processes);
    EXPECT_GE(plant.state.size, 10);
    EXPECT_LE(plant.state.size, 60);
}

TEST(a_gil_is_no_matter_on_one_cpu)
{
    struct plant plant = plant_of(1, 1);
    plant.gil = plant.movable = true;
    plant.most = 8;
    run(&plant, WEFT_S);
    EXPECT_FALSE(plant.state.processes);
}

/* ---- locks */

/* A window of workers who wait for a lock when they do not compute, while more calls queue. */
static struct auto_sample fight_for_a_lock(uint32_t workers, double cpus)
{
    int64_t wall = 20 * MS, busy = workers * wall, cpu = (int64_t)(cpus * (double)wall);
    return (struct auto_sample){ .wall_ns = wall,
                                 .busy_ns = busy,
                                 .cpu_ns = cpu,
                                 .lock_ns = busy - cpu,
                                 .looked_at = workers,
                                 .workers = workers,
                                 .running = workers,
                                 .asked = 16,
                                 .runnable = 16 * (uint32_t)cpus / workers,
                                 .queued = 1000,
                                 .cpus = 2000,
                                 .most = 256 };
}

/* One more of those, with as many workers as are wanted. */
static void fight(struct auto_state *state, double cpus)
{
    struct auto_sample sample = fight_for_a_lock(state->size ? state->size : 2, cpus);
    auto_decide(state, &sample);
}

TEST(a_wait_for_a_lock_is_no_reason_for_more_workers)
{
    struct auto_state state = { 0 };
    for (int i = 0; i < 100; i++) {
        fight(&state, 2);
        EXPECT_EQ(state.size, 2);
    }
    EXPECT_EQ(state.waiting, 0);
    state.size = 64;
    for (int i = 0; i < 100; i++)
        fight(&state, 2);
    EXPECT_EQ(state.size, 2);
}

/* Its holder may wait for a call that is queued. */
TEST(who_waits_for_a_lock_while_nobody_computes_is_joined_by_others)
{
    struct auto_state state = { 0 };
    for (int i = 0; i < 100; i++)
        fight(&state, 0.01);
    EXPECT_EQ(state.size, 256);
}

/* ---- what no machine would say */

TEST(a_window_without_time_or_calls_changes_nothing)
{
    struct auto_sample sample = { .cpus = 2000, .most = 256 };
    struct auto_state state = { 0 };
    for (int i = 0; i < 1000; i++) {
        sample.wall_ns = i % 3 ? 0 : -5 * WEFT_S; /* a clock that steps back */
        sample.queued = 100, sample.running = sample.workers = 2;
        auto_decide(&state, &sample);
        EXPECT_EQ(state.size, 2);
        EXPECT_FALSE(state.measured);
    }
    sample.wall_ns = 10 * MS;
    for (int i = 0; i < 1000; i++) {
        auto_decide(&state, &sample);
        EXPECT_EQ(state.size, 2);
    }
}

static int64_t any_number(struct plant *plant)
{
    static const int64_t extremes[] = { 0, 1, -1, INT64_MAX, INT64_MIN, 10 * MS, -10 * MS };
    double which = roll(plant);
    if (which < 0.5)
        return extremes[(unsigned)(which * 14)];
    return (int64_t)(roll(plant) * 1e9);
}

TEST(whatever_it_is_told_it_keeps_to_its_limits)
{
    struct plant plant = plant_of(1, 2);
    struct auto_state state = { 0 };
    for (int i = 0; i < 200000; i++) {
        struct auto_sample sample = { .wall_ns = any_number(&plant),
                                      .busy_ns = any_number(&plant),
                                      .cpu_ns = any_number(&plant),
                                      .delay_ns = any_number(&plant),
                                      .gil_ns = any_number(&plant),
                                      .lock_ns = any_number(&plant),
                                      .looked_at = (uint32_t)any_number(&plant),
                                      .workers = (uint32_t)any_number(&plant),
                                      .running = (uint32_t)any_number(&plant),
                                      .asked = (uint32_t)any_number(&plant),
                                      .runnable = (uint32_t)any_number(&plant),
                                      .queued = (uint32_t)any_number(&plant),
                                      .cpus = (uint32_t)any_number(&plant),
                                      .most = 1 + (uint32_t)(roll(&plant) * 4095) };
        auto_decide(&state, &sample);
        EXPECT_GE(state.size, 1);
        EXPECT_LE(state.size, sample.most);
        EXPECT_LE(state.waiting, 100);
        EXPECT_GE(state.window_ns, 10 * MS);
        EXPECT_LE(state.window_ns, 50 * MS);
    }
}

TEST(what_was_forgotten_does_not_count)
{
    struct plant plant = plant_of(1, 2);
    run(&plant, WEFT_S);
    auto_forget(&plant.state);
    plant.share = 0;
    step(&plant);
    EXPECT_EQ(plant.state.waiting, 100);
    EXPECT_EQ(plant.state.size, 8);
}
