/* SPDX-License-Identifier: MIT */
/* What a task keeps while others run on its worker, what it begins with, and where its stack ends.
 */
#include <errno.h>
#include <fenv.h>
#include <stdatomic.h>
#include <string.h>
#ifdef __GLIBC__
#include <unwind.h>
#endif

#include "tasks.h"

enum { ROUNDS = 200 };

/* ---- registers: more values live over each yield than there are registers to keep them in */

static int keep_values(weft_call *call)
{
    volatile uint64_t source = call->index + 1;
    uint64_t a = source, b = source * 3, c = source * 5, d = source * 7, e = source * 11;
    uint64_t f = source * 13, g = source * 17, h = source * 19, i = source * 23, j = source * 29;
    double k = (double)source, l = k * 3, m = k * 5, n = k * 7, o = k * 11, p = k * 13, q = k * 17;
    double r = k * 19;
    for (int round = 1; round <= ROUNDS; round++) {
        EXPECT_EQ(weft_yield(), 0);
        a++, b++, c++, d++, e++, f++, g++, h++, i++, j++;
        k++, l++, m++, n++, o++, p++, q++, r++;
    }
    EXPECT_EQ(a + b + c + d + e + f + g + h + i + j, source * 128 + 10 * ROUNDS);
    EXPECT_EQ(k + l + m + n + o + p + q + r, (double)(source * 76 + 8 * ROUNDS));
    return 0;
}

TEST(a_task_keeps_its_registers)
{
    workers_are("1");
    in_tasks(4, keep_values);
}

/* ---- floating-point control */

static const int roundings[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };

static int keep_rounding(weft_call *call)
{
    int mine = roundings[call->index % 4];
    EXPECT_EQ(fesetround(mine), 0);
    volatile double one = 1, three = 3;
    double third = one / three;
    for (int i = 0; i < ROUNDS; i++) {
        EXPECT_EQ(weft_yield(), 0);
        EXPECT_EQ(fegetround(), mine);
        EXPECT_EQ(one / three, third);
    }
    return 0;
}

TEST(a_task_keeps_its_rounding)
{
    workers_are("1");
    in_tasks(8, keep_rounding);
}

static atomic_bool rounds_up, seen;

static int round_up(weft_call *call)
{
    (void)call;
    fesetround(FE_UPWARD);
    atomic_store(&rounds_up, true);
    while (!atomic_load(&seen))
        EXPECT_EQ(weft_yield(), 0);
    return 0;
}

static int see_rounding(weft_call *call)
{
    EXPECT_EQ(fegetround(), *(const int *)call->arg);
    atomic_store(&seen, true);
    return 0;
}

/* A thread inherits them from the one that made it; so does a task, and not from whichever task
 * ran before it on its worker. */
TEST(a_task_begins_with_the_control_words_of_its_maker)
{
    workers_are("1");
    weft_group *g = tasks_open();
    EXPECT_EQ(weft_group_start(g, round_up, NULL, 0), 0);
    UNTIL(atomic_load(&rounds_up));
    fesetround(FE_DOWNWARD);
    int mine = FE_DOWNWARD;
    EXPECT_EQ(weft_group_start(g, see_rounding, &mine, sizeof mine), 0);
    fesetround(FE_TONEAREST);
    tasks_join(g);
}

/* ---- errno */

static int keep_errno(weft_call *call)
{
    int mine = 1000 + (int)call->index;
    EXPECT_EQ(errno, 0);
    for (int i = 0; i < ROUNDS; i++) {
        errno = mine;
        EXPECT_EQ(weft_yield(), 0);
        EXPECT_EQ(errno, mine);
        EXPECT_EQ(weft_sleep_until(weft_after(1000)), 0);
        EXPECT_EQ(errno, mine);
    }
    return 0;
}

TEST(a_task_keeps_its_errno_and_begins_with_none)
{
    workers_are("1");
    in_tasks(4, keep_errno);
}

/* ---- where a stack ends */

#ifdef __GLIBC__ /* gcc's unwinder, as Debian builds it, wants glibc */
static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *count)
{
    (void)context;
    ++*(int *)count;
    return *(int *)count < 1000 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

__attribute__((noinline)) static int frames(int deeper)
{
    volatile int n = 0;
    if (deeper) {
        n = frames(deeper - 1);
        return n;
    }
    int count = 0;
    EXPECT_EQ(_Unwind_Backtrace(count_frame, &count), _URC_END_OF_STACK);
    n = count;
    return n;
}

static int unwind(weft_call *call)
{
    (void)call;
    int shallow = frames(0);
    EXPECT_EQ(weft_yield(), 0);
    EXPECT_GT(shallow, 3); /* frames(), unwind(), what calls it, the entry */
    EXPECT_LT(shallow, 20);
    EXPECT_EQ(frames(7), shallow + 7);
    return 0;
}

TEST(unwinding_a_tasks_stack_ends_at_its_entry)
{
    workers_are("1");
    in_tasks(3, unwind);
}
#endif

/* ---- alignment: the ABI's 16 bytes, at the entry and after */

static int check_alignment(weft_call *call)
{
    _Alignas(64) volatile char block[128];
    (void)call;
    memset((void *)block, 1, sizeof block);
    EXPECT_EQ((uintptr_t)block % 64, 0);
    EXPECT_EQ((uintptr_t)__builtin_frame_address(0) % 16, 0);
    return 0;
}

TEST(a_tasks_stack_is_aligned)
{
    workers_are("2");
    in_tasks(64, check_alignment);
}
