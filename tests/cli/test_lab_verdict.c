/* SPDX-License-Identifier: MIT */
/* Who wins, and why: on rows as a quiet machine with two CPUs gives them, and on odd ones. */
#include <stdio.h>
#include <string.h>

#include "lab/verdict.h"

#include "harness.h"

enum { ROWS_MAX = 32 };

static const struct lab_machine two_cpus = { .cpus = 2 };

struct rows {
    struct lab_row at[ROWS_MAX];
    size_t count;
    struct lab_verdict verdicts[LAB_LOADS];
};

/* Adds a row whose interval reaches 1 % to each side. */
static struct lab_row *add(struct rows *rows, enum lab_load load, weft_kind kind, uint32_t workers,
                           bool gil, double rate, double cpus)
{
    struct lab_row *row = &rows->at[rows->count++];

    *row = (struct lab_row){
        .load = load,
        .kind = kind,
        .workers = workers,
        .gil = gil,
        .runs = 7,
        .rate = rate,
        .low = rate * 0.99,
        .high = rate * 1.01,
        .cpus = cpus,
        .waiting = cpus < workers ? 1 - cpus / workers : 0,
        .call_waits = workers == 1 ? 1 - cpus : -1,
        .tight = true,
    };
    return row;
}

static const char *judge(struct rows *rows, const struct lab_machine *machine)
{
    EXPECT_EQ(lab_judge(rows->at, rows->count, machine, rows->verdicts), 1);
    return rows->verdicts[0].text;
}

static const struct lab_row *winner(const struct rows *rows)
{
    return &rows->at[rows->verdicts[0].best];
}

static void add_io(struct rows *rows)
{
    add(rows, LAB_IO, WEFT_SERIAL, 1, false, 20, 0.01);
    add(rows, LAB_IO, WEFT_THREADS, 16, false, 318, 0.1);
    add(rows, LAB_IO, WEFT_THREADS, 64, false, 1180, 0.3);
    add(rows, LAB_IO, WEFT_TASKS, 64, false, 1175, 0.3);
    add(rows, LAB_IO, WEFT_PROCESSES, 64, false, 1150, 0.5);
}

TEST(waiting_calls_want_many_threads)
{
    struct rows rows = { .count = 0 };

    add_io(&rows);
    const char *text = judge(&rows, &two_cpus);
    EXPECT_EQ(winner(&rows)->kind, WEFT_THREADS);
    EXPECT_EQ(winner(&rows)->workers, 64);
    EXPECT_HAS(text, "I/O-bound: 64 threads win: 1,180 calls/s, 59 x serial.");
    EXPECT_HAS(text, "A call waits 99.0 % of its time, and waits overlap");
    EXPECT_HAS(text, "about 200 workers to keep the 2 CPUs busy");
    EXPECT_HAS(text, "64 tasks (1,175 calls/s), 64 processes (1,150 calls/s, for more memory).");
}

static void add_cpu(struct rows *rows)
{
    add(rows, LAB_CPU, WEFT_SERIAL, 1, false, 500, 1);
    add(rows, LAB_CPU, WEFT_THREADS, 1, false, 499, 1);
    add(rows, LAB_CPU, WEFT_THREADS, 2, false, 985, 1.98);
    add(rows, LAB_CPU, WEFT_THREADS, 8, false, 990, 1.99);
    add(rows, LAB_CPU, WEFT_PROCESSES, 2, false, 960, 1.95);
    add(rows, LAB_CPU, WEFT_SERIAL, 1, true, 500, 1);
    add(rows, LAB_CPU, WEFT_THREADS, 2, true, 497, 1);
    add(rows, LAB_CPU, WEFT_PROCESSES, 2, true, 950, 1.9);
}

TEST(computing_calls_want_as_many_as_cpus)
{
    struct rows rows = { .count = 0 };

    add_cpu(&rows);
    const char *text = judge(&rows, &two_cpus);
    EXPECT_EQ(winner(&rows)->kind, WEFT_THREADS);
    EXPECT_EQ(winner(&rows)->workers, 2); /* 8 are not better */
    EXPECT_HAS(text, "CPU-bound: 2 threads win: 985 calls/s, 2.0 x serial.");
    EXPECT_HAS(text, "computes 100 % of its time, so more workers than the 2 CPUs can run do not");
}

TEST(a_gil_lets_one_thread_compute_at_a_time)
{
    struct rows rows = { .count = 0 };

    add_cpu(&rows);
    EXPECT_HAS(judge(&rows, &two_cpus),
               "With a GIL threads reach 497 calls/s, 1.0 x serial, since one computes at a time; "
               "processes have a GIL each: 950 calls/s, 1.9 x serial.");
}

TEST(a_gil_is_no_matter_to_those_who_wait)
{
    struct rows rows = { .count = 0 };

    add_io(&rows);
    add(&rows, LAB_IO, WEFT_THREADS, 64, true, 1170, 0.3);
    EXPECT_HAS(judge(&rows, &two_cpus), "A GIL changes nothing for threads (1,170 calls/s): who "
                                        "waits gives it up.");
}

/* Other programs came and went. */
TEST(threads_that_a_gil_seems_to_speed_up_are_not_said_to_be_as_fast)
{
    struct rows rows = { .count = 0 };

    add(&rows, LAB_CPU, WEFT_THREADS, 2, false, 209, 0.4);
    add(&rows, LAB_CPU, WEFT_THREADS, 2, true, 504, 1);
    EXPECT_TRUE(strstr(judge(&rows, &two_cpus), "changes nothing") == NULL);
}

TEST(with_the_gil_alone_processes_win_what_computes)
{
    struct rows rows = { .count = 0 };

    add(&rows, LAB_CPU, WEFT_SERIAL, 1, true, 500, 1);
    add(&rows, LAB_CPU, WEFT_THREADS, 2, true, 497, 1);
    add(&rows, LAB_CPU, WEFT_PROCESSES, 2, true, 950, 1.9);
    const char *text = judge(&rows, &two_cpus);
    EXPECT_EQ(winner(&rows)->kind, WEFT_PROCESSES);
    EXPECT_HAS(text, "2 processes win: 950 calls/s, 1.9 x serial.");
    EXPECT_HAS(text, "CPU-bound with a GIL: ");
    EXPECT_HAS(text, "Behind: 2 threads (497 calls/s).");
}

TEST(the_simpler_kind_wins_a_tie)
{
    struct rows rows = { .count = 0 };

    add(&rows, LAB_CPU, WEFT_PROCESSES, 1, false, 510, 1);
    add(&rows, LAB_CPU, WEFT_THREADS, 1, false, 505, 1);
    add(&rows, LAB_CPU, WEFT_SERIAL, 1, false, 500, 1);
    const char *text = judge(&rows, &(struct lab_machine){ .cpus = 1 });
    EXPECT_EQ(winner(&rows)->kind, WEFT_SERIAL);
    EXPECT_HAS(text, "serial wins: 500 calls/s. ");
    EXPECT_HAS(text, "the one CPU");
    EXPECT_HAS(text, "As good, within what can be told: 1 thread (505 calls/s)");
}

TEST(a_kind_whose_interval_lies_below_does_not_win)
{
    struct rows rows = { .count = 0 };

    add(&rows, LAB_MIXED, WEFT_THREADS, 4, false, 370, 1.9);
    add(&rows, LAB_MIXED, WEFT_PROCESSES, 4, false, 395, 2);
    (void)judge(&rows, &two_cpus);
    EXPECT_EQ(winner(&rows)->kind, WEFT_PROCESSES);
}

TEST(intervals_that_overlap_are_a_tie_but_not_whatever_the_medians_are)
{
    struct lab_row a = { .runs = 3, .rate = 100, .low = 60, .high = 140 };
    struct lab_row b = { .runs = 3, .rate = 92, .low = 90, .high = 94 };
    struct lab_row c = { .runs = 3, .rate = 80, .low = 60, .high = 100 };

    EXPECT_FALSE(lab_rows_differ(&a, &b));
    EXPECT_TRUE(lab_rows_differ(&a, &c));
    a.low = 95;
    EXPECT_TRUE(lab_rows_differ(&a, &b));
}

TEST(less_than_three_per_cent_is_no_difference)
{
    struct lab_row a = { .runs = 9, .rate = 100, .low = 99.9, .high = 100.1 };
    struct lab_row b = { .runs = 9, .rate = 98, .low = 97.9, .high = 98.1 };

    EXPECT_FALSE(lab_rows_differ(&a, &b));
}

TEST(a_single_run_may_be_off_by_a_tenth)
{
    struct lab_row a = { .runs = 1, .rate = 100, .low = 100, .high = 100 };
    struct lab_row b = { .runs = 1, .rate = 92, .low = 92, .high = 92 };
    struct lab_row c = { .runs = 1, .rate = 70, .low = 70, .high = 70 };

    EXPECT_FALSE(lab_rows_differ(&a, &b));
    EXPECT_TRUE(lab_rows_differ(&a, &c));
}

TEST(mixed_calls_want_cpus_divided_by_the_share_that_computes)
{
    struct rows rows = { .count = 0 };

    add(&rows, LAB_MIXED, WEFT_SERIAL, 1, false, 98, 0.5);
    add(&rows, LAB_MIXED, WEFT_THREADS, 4, false, 370, 1.9);
    EXPECT_HAS(judge(&rows, &two_cpus),
               "A call waits 50 % of its time, so about 4 workers keep the 2 CPUs busy.");
}

TEST(a_quota_is_named)
{
    const struct lab_machine machine = { .cpus = 8, .quota = 1.5 };
    struct rows rows = { .count = 0 };

    add_cpu(&rows);
    EXPECT_HAS(judge(&rows, &machine), "more workers than the quota's 1.5 CPUs can run");
}

TEST(a_quota_beyond_the_cpus_is_not)
{
    const struct lab_machine machine = { .cpus = 2, .quota = 4 };
    struct rows rows = { .count = 0 };

    add_cpu(&rows);
    EXPECT_HAS(judge(&rows, &machine), "the 2 CPUs");
}

TEST(auto_says_what_it_chose_and_how_far_it_came)
{
    struct rows rows = { .count = 0 };

    add_io(&rows);
    struct lab_row *row = add(&rows, LAB_IO, WEFT_AUTO, 60, false, 1160, 0.3);
    snprintf(row->explain, sizeof row->explain, "99 %% waiting: I/O-bound; 60 threads on 2 CPUs");
    const char *text = judge(&rows, &two_cpus);
    EXPECT_EQ(winner(&rows)->kind, WEFT_THREADS);
    EXPECT_HAS(text, "Auto does as well: 99 % waiting: I/O-bound; 60 threads on 2 CPUs.");
}

TEST(auto_that_is_behind_says_how_far_it_came)
{
    struct rows rows = { .count = 0 };

    add_io(&rows);
    add(&rows, LAB_IO, WEFT_AUTO, 32, false, 590, 0.2);
    EXPECT_HAS(judge(&rows, &two_cpus), "Auto reaches 50 % of the winner.");
}

TEST(a_disturbed_row_does_not_say_that_its_calls_wait)
{
    struct rows rows = { .count = 0 };

    struct lab_row *row = add(&rows, LAB_CPU, WEFT_SERIAL, 1, false, 100, 0.2);
    row->call_waits = 0; /* it had a CPU for a fifth of the time, but wanted one for all of it */
    EXPECT_HAS(judge(&rows, &two_cpus), "A call computes 100 % of its time");
}

TEST(auto_wins_only_if_nothing_simpler_is_as_good)
{
    struct rows rows = { .count = 0 };

    add(&rows, LAB_CHANGING, WEFT_SERIAL, 1, false, 38, 0.1);
    add(&rows, LAB_CHANGING, WEFT_THREADS, 16, false, 400, 0.9);
    struct lab_row *row = add(&rows, LAB_CHANGING, WEFT_AUTO, 40, false, 600, 1.2);
    snprintf(row->explain, sizeof row->explain, "55 %% waiting: mixed; 40 threads on 2 CPUs");
    const char *text = judge(&rows, &two_cpus);
    EXPECT_EQ(winner(&rows)->kind, WEFT_AUTO);
    EXPECT_HAS(text, "Changing: auto wins: 600 calls/s, 16 x serial.");
    EXPECT_HAS(text, "First the calls wait and want many workers");
    EXPECT_HAS(text, "Auto saw: 55 % waiting: mixed; 40 threads on 2 CPUs.");
}

TEST(an_uncertain_winner_says_so)
{
    struct rows rows = { .count = 0 };

    struct lab_row *row = add(&rows, LAB_CPU, WEFT_THREADS, 2, false, 1000, 1.9);
    row->low = 800;
    row->high = 1100;
    row->tight = false;
    EXPECT_HAS(judge(&rows, &two_cpus), "2 threads win: 1,000 calls/s (give or take 20 %).");
    row->runs = 1;
    row->low = row->high = row->rate;
    EXPECT_HAS(judge(&rows, &two_cpus), "2 threads win: 1,000 calls/s (a single run).");
}

TEST(each_load_that_has_rows_has_a_verdict)
{
    struct rows rows = { .count = 0 };

    add(&rows, LAB_CHANGING, WEFT_THREADS, 2, false, 70, 0.2);
    add(&rows, LAB_CPU, WEFT_THREADS, 2, true, 500, 1);
    EXPECT_EQ(lab_judge(rows.at, rows.count, &two_cpus, rows.verdicts), 2);
    EXPECT_EQ(rows.verdicts[0].load, LAB_CPU);
    EXPECT_EQ(rows.verdicts[0].best, 1);
    EXPECT_EQ(rows.verdicts[1].load, LAB_CHANGING);
    EXPECT_EQ(rows.verdicts[1].best, 0);
}

TEST(no_rows_no_verdict)
{
    struct lab_verdict verdicts[LAB_LOADS];

    EXPECT_EQ(lab_judge(NULL, 0, &two_cpus, verdicts), 0);
}

TEST(the_longest_verdict_fits_or_is_cut)
{
    struct rows rows = { .count = 0 };
    const weft_kind kinds[] = { WEFT_SERIAL, WEFT_THREADS, WEFT_TASKS, WEFT_PROCESSES, WEFT_AUTO };

    for (int gil = 0; gil < 2; gil++)
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            struct lab_row *row = add(&rows, LAB_MIXED, kinds[i], i == 0 ? 1 : 1024, gil != 0,
                                      123456789.0 * (double)(i + 1) / (1 + gil), 0.5);
            row->tight = false;
            memset(row->explain, 'x', sizeof row->explain - 1);
        }
    const char *text = judge(&rows, &two_cpus);
    EXPECT_LT(strlen(text), sizeof rows.verdicts[0].text);
}
