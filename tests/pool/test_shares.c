/* SPDX-License-Identifier: MIT */
/* Shares of a map's items: each is given once, members keep to their own, and take from others
 * then. */
#include <stdlib.h>

#include "harness.h"
#include "pool/shares.h"
#include "../stress/stress.h"

/* Takes up to n for a member, and counts each. Returns how many. */
static size_t take(struct shares *shares, uint32_t member, size_t n, unsigned char *given)
{
    size_t first, there = shares_next(shares, member, &first);
    if (n > there)
        n = there;
    for (size_t i = 0; i < n; i++)
        given[first + i]++;
    shares_take(shares, member, n);
    return n;
}

TEST(every_item_is_given_once_whoever_comes)
{
    struct dice dice = dice_of(7, 0);
    for (int round = 0; round < 300; round++) {
        size_t count = dice_below(&dice, 2000), sum = 0;
        uint32_t members = 1 + dice_below(&dice, 20);
        unsigned char *given = calloc(count + 1, 1);
        struct shares shares;
        EXPECT_TRUE(given);
        shares_open(&shares, count, members);
        while (shares.left)
            sum += take(&shares, dice_below(&dice, members), 1 + dice_below(&dice, 50), given);
        EXPECT_EQ(sum, count);
        for (size_t i = 0; i < count; i++)
            EXPECT_EQ(given[i], 1);
        for (uint32_t i = 0; i < members; i++)
            EXPECT_EQ(take(&shares, i, 1, given), 0);
        shares_close(&shares);
        free(given);
    }
}

TEST(who_comes_alone_gets_everything)
{
    unsigned char given[100] = { 0 };
    struct shares shares;
    size_t sum = 0;
    shares_open(&shares, 100, 7);
    for (size_t n; (n = take(&shares, 3, 9, given));)
        sum += n;
    EXPECT_EQ(sum, 100);
    shares_close(&shares);
}

/* A member's own items lie side by side, and are the same each time. */
TEST(a_member_has_its_own_items_first)
{
    for (int round = 0; round < 2; round++) {
        struct shares shares;
        size_t first;
        shares_open(&shares, 11, 3);
        EXPECT_EQ(shares_next(&shares, 2, &first), 3);
        EXPECT_EQ(first, 8);
        EXPECT_EQ(shares_next(&shares, 0, &first), 4);
        EXPECT_EQ(first, 0);
        EXPECT_EQ(shares_next(&shares, 1, &first), 4);
        EXPECT_EQ(first, 4);
        shares_close(&shares);
    }
}

TEST(who_has_none_left_takes_the_end_of_the_largest)
{
    struct shares shares;
    size_t first;
    shares_open(&shares, 30, 3);
    shares_take(&shares, 0, 10);
    shares_take(&shares, 1, 4);
    EXPECT_EQ(shares_next(&shares, 0, &first), 5);
    EXPECT_EQ(first, 25);
    EXPECT_EQ(shares_next(&shares, 2, &first), 5);
    EXPECT_EQ(first, 20);
    EXPECT_EQ(shares.left, 16);
    shares_close(&shares);
}

TEST(one_share_is_given_in_order)
{
    struct shares shares;
    size_t first;
    shares_open(&shares, 30, 1);
    for (uint32_t i = 0; i < 30; i++) {
        EXPECT_EQ(shares_next(&shares, 29 - i, &first), 30 - i);
        EXPECT_EQ(first, i);
        shares_take(&shares, 29 - i, 1);
    }
    shares_close(&shares);
}
