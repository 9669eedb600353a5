/* SPDX-License-Identifier: MIT */
/* What the page's timelines show, and what is said of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/page_lanes.h"

#include "harness.h"

enum { SPANS_MAX = 4096 };

#define END_NS (LANE_COLUMNS * INT64_C(1000)) /* 1 us a column */

static struct lab_span spans[SPANS_MAX];

static struct lab_timeline timeline = { .wall_ns = END_NS, .spans = spans };

static void add(uint32_t worker, uint32_t cpu, int64_t begin_us, int64_t end_us, bool waiting)
{
    spans[timeline.span_count++] =
        (struct lab_span){ worker, cpu, begin_us * 1000, end_us * 1000, waiting };
}

static struct lane lane_of(uint32_t worker)
{
    struct lane_cpus cpus = { .count = 0 };
    struct lane lane;

    lane_add_cpus(&cpus, &timeline);
    lane_of_worker(&timeline, &cpus, worker, END_NS, &lane);
    return lane;
}

static size_t columns_of(const struct lane *lane, unsigned char shown)
{
    size_t n = 0;

    for (size_t c = 0; c < LANE_COLUMNS; c++)
        n += lane->columns[c] == shown;
    return n;
}

TEST(turns_on_one_cpu_are_not_parallel)
{
    struct lane_facts facts;

    for (uint32_t i = 0; i < 48; i++) {
        add(i % 2, 7, i * 10, (i + 1) * 10, false);
        add((i + 1) % 2, 7, i * 10, (i + 1) * 10, true);
    }
    EXPECT_EQ(lane_facts(&timeline, &facts), 0);
    EXPECT_TRUE(facts.parallel == 0);
    EXPECT_TRUE(facts.computing == 1);
    EXPECT_EQ(facts.turns, 47);
    EXPECT_EQ(facts.waiting_at_once, 1);
}

TEST(overlap_on_two_cpus_is_parallel)
{
    struct lane_facts facts;

    add(0, 0, 0, 240, false);
    add(1, 1, 120, 480, false);
    EXPECT_EQ(lane_facts(&timeline, &facts), 0);
    EXPECT_TRUE(facts.parallel == 0.25);
    EXPECT_TRUE(facts.computing == 1);
    EXPECT_EQ(facts.turns, 0);
}

TEST(waits_overlap_without_computing)
{
    struct lane_facts facts;

    for (uint32_t worker = 0; worker < 9; worker++)
        add(worker, 0, worker, 480, true);
    EXPECT_EQ(lane_facts(&timeline, &facts), 0);
    EXPECT_EQ(facts.waiting_at_once, 9);
    EXPECT_TRUE(facts.computing == 0);
}

TEST(a_timeline_without_spans_has_no_facts)
{
    struct lane_facts facts;

    EXPECT_EQ(lane_facts(&timeline, &facts), 0);
    EXPECT_TRUE(facts.computing == 0 && facts.parallel == 0);
    EXPECT_EQ(facts.turns, 0);
}

TEST(a_lane_shows_what_its_worker_did)
{
    add(0, 3, 100, 200, false);
    add(0, 5, 200, 230, false);
    add(0, 5, 230, 480, true);
    add(1, 5, 0, 480, false);
    struct lane lane = lane_of(0);
    EXPECT_EQ(columns_of(&lane, LANE_IDLE), 100);
    EXPECT_EQ(columns_of(&lane, LANE_COMPUTING), 100);
    EXPECT_EQ(columns_of(&lane, LANE_COMPUTING + 1), 30);
    EXPECT_EQ(columns_of(&lane, LANE_WAITING), 250);
    EXPECT_EQ(lane.columns[99], LANE_IDLE);
    EXPECT_EQ(lane.columns[100], LANE_COMPUTING);
}

TEST(a_cpu_has_the_same_look_in_every_timeline)
{
    struct lane_cpus page = { .at = { 1, 4, 6 }, .count = 3 };
    struct lane lane;

    add(0, 6, 0, 480, false);
    lane_of_cpu(&timeline, &page, 6, END_NS, &lane);
    EXPECT_EQ(columns_of(&lane, LANE_COMPUTING + 2), LANE_COLUMNS);
    lane_of_cpu(&timeline, &page, 4, END_NS, &lane);
    EXPECT_EQ(columns_of(&lane, LANE_IDLE), LANE_COLUMNS);
}

TEST(a_short_block_does_not_vanish)
{
    add(0, 0, 0, 300, true);
    spans[timeline.span_count++] = (struct lab_span){ 0, 0, 300000, 300001, false };
    add(0, 0, 301, 480, true);
    struct lane lane = lane_of(0);
    EXPECT_EQ(columns_of(&lane, LANE_COMPUTING), 2);
    EXPECT_EQ(lane.columns[300], LANE_COMPUTING);
}

/* A tenth of the time is computing, in blocks shorter than a column: neither all nor nothing. */
TEST(many_short_blocks_are_stripes)
{
    for (int64_t i = 0; i < 1920; i++) {
        int64_t at = i * 250;
        spans[timeline.span_count++] = (struct lab_span){ 0, 0, at, at + 25, false };
        spans[timeline.span_count++] = (struct lab_span){ 0, 0, at + 25, at + 250, true };
    }
    struct lane lane = lane_of(0);
    EXPECT_EQ(columns_of(&lane, LANE_COMPUTING), LANE_COLUMNS / 2);
    EXPECT_EQ(columns_of(&lane, LANE_WAITING), LANE_COLUMNS / 2);
}

/* What is wrong in a timeline may look wrong, and no more. */
TEST(spans_outside_the_timeline_are_cut)
{
    add(0, 0, -50, 10, false);
    add(0, 0, 470, 900, false);
    add(0, 0, 1000, 2000, false);
    add(0, 0, 50, 40, false);
    struct lane lane = lane_of(0);
    EXPECT_EQ(lane.columns[LANE_COLUMNS - 1], LANE_COMPUTING);
    EXPECT_EQ(columns_of(&lane, LANE_COMPUTING), 10 + 10);
}

TEST(the_lowest_cpus_are_kept)
{
    struct lane_cpus cpus = { .count = 0 };

    for (uint32_t cpu = 100; cpu-- > 0;)
        add(0, cpu, 0, 1, false);
    lane_add_cpus(&cpus, &timeline);
    EXPECT_EQ(cpus.count, LANE_CPUS_MAX);
    for (uint32_t i = 0; i < LANE_CPUS_MAX; i++)
        EXPECT_EQ(cpus.at[i], i);
}

TEST(a_path_has_a_step_for_each_block)
{
    char text[128] = "";
    struct lane lane = { .columns = { 0, 0, 1, 1, 1, 0, 1 } };
    FILE *to = fmemopen(text, sizeof text, "w");

    EXPECT_TRUE(to != NULL);
    lane_path(to, &lane, LANE_WAITING);
    EXPECT_EQ(fclose(to), 0);
    EXPECT_STR(text, "M0 0m2 0h3m1 0h1");
    EXPECT_TRUE(lane_shows(&lane, LANE_WAITING));
    EXPECT_FALSE(lane_shows(&lane, LANE_COMPUTING));
}
