/* SPDX-License-Identifier: MIT */
/* What several measurements of one thing say together. */
#ifndef LAB_INTERVAL_H
#define LAB_INTERVAL_H

#include <stdbool.h>
#include <stddef.h>

struct interval {
    double median, low, high; /* of a single value: all three are it */
};

/* The median of n values, at least 1, in any order, and its 95 % interval. Sorts them. */
struct interval interval_of(double *values, size_t n);

/* Whether it is known: from two values on, and reaching at most so far, as a share of the median,
 * to each side. */
bool interval_tight(const struct interval *interval, size_t n, double share);

#endif
