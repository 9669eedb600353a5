/* SPDX-License-Identifier: MIT */
/*
 * base/time.c: the clock and deadlines. A deadline is an absolute number of nanoseconds on
 * CLOCK_MONOTONIC; INT64_MAX is never, 0 and less always past. All arithmetic saturates, so that
 * "for ever and a bit" is for ever.
 */
#include <time.h>

#include <weft/time.h>

#include "base/clock.h"

int64_t weft_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * WEFT_S + now.tv_nsec;
}

int64_t time_coarse_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * WEFT_S + now.tv_nsec;
}

weft_deadline weft_after(int64_t ns)
{
    weft_deadline deadline = WEFT_FOREVER;
    if (ns == INT64_MAX)
        return deadline;
    if (__builtin_add_overflow(weft_now(), ns, &deadline.ns))
        return WEFT_FOREVER; /* the clock is never negative, so it can only overflow upwards */
    return deadline;
}

weft_deadline weft_sooner(weft_deadline a, weft_deadline b)
{
    return a.ns < b.ns ? a : b;
}

int64_t weft_left(weft_deadline deadline)
{
    if (deadline.ns == INT64_MAX)
        return INT64_MAX;
    if (deadline.ns <= 0)
        return 0;
    int64_t left = deadline.ns - weft_now();
    return left > 0 ? left : 0;
}
