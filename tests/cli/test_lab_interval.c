/* SPDX-License-Identifier: MIT */
/* What several measurements say together. */
#include <math.h>

#include "lab/interval.h"

#include "harness.h"

#define NEAR(a, b) EXPECT_TRUE(fabs((a) - (b)) < 1e-3)

TEST(a_single_value_is_all_that_is_known)
{
    double values[] = { 7 };
    struct interval interval = interval_of(values, 1);

    NEAR(interval.median, 7);
    NEAR(interval.low, 7);
    NEAR(interval.high, 7);
    EXPECT_FALSE(interval_tight(&interval, 1, 0.05));
}

TEST(a_few_values_have_students_interval)
{
    double values[] = { 12, 10, 11 };
    struct interval interval = interval_of(values, 3);

    NEAR(interval.median, 11);
    NEAR(interval.high - interval.median, 4.303 / sqrt(3));
    NEAR(interval.median - interval.low, 4.303 / sqrt(3));
}

TEST(two_values_hardly_say_anything)
{
    double values[] = { 100, 102 };
    struct interval interval = interval_of(values, 2);

    NEAR(interval.median, 101);
    NEAR(interval.high - interval.median, 12.706);
    EXPECT_FALSE(interval_tight(&interval, 2, 0.05));
}

TEST(an_interval_does_not_go_below_zero)
{
    double values[] = { 1, 9 };
    struct interval interval = interval_of(values, 2);

    EXPECT_TRUE(interval.low >= 0);
}

/* P(6 tosses all on one side) is 1/32: the interval is all of six values. Of nine it leaves out one
 * on each side, of twenty-one five: the tables of the sign test say so. */
TEST(many_values_have_that_of_the_sign_test)
{
    static const struct {
        size_t n, outside;
    } known[] = { { 6, 0 }, { 8, 0 }, { 9, 1 }, { 11, 1 }, { 12, 2 }, { 15, 3 }, { 21, 5 } };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        double values[21];
        for (size_t j = 0; j < known[i].n; j++)
            values[j] = (double)((j * 5 + 3) % known[i].n);
        if (known[i].n % 5 == 0) /* 5 does not go round them all */
            for (size_t j = 0; j < known[i].n; j++)
                values[j] = (double)(known[i].n - 1 - j);
        struct interval interval = interval_of(values, known[i].n);
        NEAR(interval.low, (double)known[i].outside);
        NEAR(interval.high, (double)(known[i].n - 1 - known[i].outside));
        NEAR(interval.median, (double)(known[i].n - 1) / 2);
    }
}

TEST(one_that_is_far_off_does_not_make_a_long_series_uncertain)
{
    double values[] = { 100, 101, 99, 100, 100, 101, 99, 100, 100, 500 };
    struct interval interval = interval_of(values, 10);

    EXPECT_TRUE(interval_tight(&interval, 10, 0.05));
}

TEST(tight_means_to_both_sides)
{
    EXPECT_TRUE(interval_tight(&(struct interval){ 100, 95, 105 }, 3, 0.05));
    EXPECT_FALSE(interval_tight(&(struct interval){ 100, 94, 105 }, 3, 0.05));
    EXPECT_FALSE(interval_tight(&(struct interval){ 100, 95, 106 }, 3, 0.05));
}
