/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <weft/base.h>

#include "harness.h"

TEST(strerror_takes_either_sign)
{
    EXPECT_STR(weft_strerror(-ENOENT), "No such file or directory");
    EXPECT_STR(weft_strerror(ENOENT), "No such file or directory");
}

TEST(strerror_calls_zero_success)
{
    EXPECT_STR(weft_strerror(0), "success");
}

TEST(strerror_has_its_own_words_for_its_own_meanings)
{
    EXPECT_STR(weft_strerror(-ECHILD), "a call of yours failed");
    EXPECT_STR(weft_strerror(-ECANCELED), "cancelled");
    EXPECT_STR(weft_strerror(-ETIMEDOUT), "deadline passed");
    EXPECT_STR(weft_strerror(-ENOTSUP), "this kind cannot do that");
    EXPECT_STR(weft_strerror(-ENODATA), "nothing left");
    const int own[] = { EDEADLK, EFAULT, EOVERFLOW, EOWNERDEAD, EPIPE };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        EXPECT_TRUE(strcmp(weft_strerror(-own[i]), strerror(own[i])) != 0);
}

TEST(strerror_knows_when_it_does_not_know)
{
    const int unknown[] = { 4095, -4095, 100000, INT_MAX, -INT_MAX, INT_MIN };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        EXPECT_STR(weft_strerror(unknown[i]), "unknown error");
}

/* A buffer of the thread's would be overwritten by the second call. */
TEST(strerror_answers_with_constants)
{
    const char *first = weft_strerror(-ENOMEM);
    for (int error = -4096; error < 4096; error++)
        EXPECT_NE(weft_strerror(error), NULL);
    EXPECT_EQ(weft_strerror(ENOMEM), first);
    EXPECT_STR(first, strerror(ENOMEM));
}
