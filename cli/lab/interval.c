/* SPDX-License-Identifier: MIT */
/* The 95 % interval of a median.
 *
 * From six values on by order statistics: the median lies between the k-th value from below and the
 * k-th from above unless fewer than k of n tosses of a coin fall on one side. That assumes nothing
 * about the distribution. Fewer values cannot promise 95 % like that; for them it is Student's
 * interval, whose factors for so few are large on purpose.
 *
 * Source: any textbook; Conover, Practical Nonparametric Statistics, 3.2. */
#include "interval.h"

#include <math.h>
#include <stdlib.h>

enum { ORDERED_FROM = 6 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median_of(const double *sorted, size_t n)
{
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* How many values lie outside of the interval on each side, at most: the largest k for which both
 * tails of n tosses, of fewer than k on a side, come to 5 % or less; less 1. */
static size_t outside(size_t n)
{
    double chance = pow(0.5, (double)n); /* of exactly k */
    double tail = chance;                /* of k or fewer */
    size_t k = 0;

    while (2 * tail <= 0.05) {
        k++;
        chance *= (double)(n - k + 1) / (double)k;
        tail += chance;
    }
    return k - 1;
}

/* Half of Student's interval, for 2 to 5 values. */
static double student(const double *values, size_t n)
{
    static const double factors[ORDERED_FROM] = {
        [2] = 12.706, [3] = 4.303, [4] = 3.182, [5] = 2.776
    };
    double mean = 0;
    double squares = 0;

    for (size_t i = 0; i < n; i++)
        mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return factors[n] * sqrt(squares / (double)(n - 1) / (double)n);
}

struct interval interval_of(double *values, size_t n)
{
    qsort(values, n, sizeof values[0], ascending);
    double median = median_of(values, n);

    if (n == 1)
        return (struct interval){ median, median, median };
    if (n >= ORDERED_FROM) {
        size_t k = outside(n);
        return (struct interval){ median, values[k], values[n - 1 - k] };
    }
    double half = student(values, n);
    return (struct interval){ median, fmax(median - half, 0), median + half };
}

bool interval_tight(const struct interval *interval, size_t n, double share)
{
    double reach = fmax(interval->high - interval->median, interval->median - interval->low);

    return n >= 2 && reach <= share * interval->median;
}
