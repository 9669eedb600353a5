# SPDX-License-Identifier: MIT
"""Medians, the interval of a median of ratios, and the verdict."""

import math
import statistics


def interval(values, level=0.95):
    """The interval that holds the median with at least the given probability.

    It consists of order statistics (the inverse of the sign test): whatever the distribution, the
    median lies below the k-th smallest of n values with the probability that a fair coin shows
    heads fewer than k times in n. Nothing random is involved, so equal runs give equal intervals.
    With too few values for that (five) it is -1 to infinity: ratios are never negative.
    """
    ordered = sorted(values)
    n = len(ordered)
    rank, tail = 0, 0.0
    while rank < n // 2:
        more = tail + math.comb(n, rank) / 2**n
        if 2 * more > 1 - level:
            break
        tail, rank = more, rank + 1
    if rank == 0:  # too few values to say anything with that probability
        return -1.0, math.inf
    return ordered[rank - 1], ordered[n - rank]


def one_ratio(a, b):
    if b == 0:
        return 1.0 if a == 0 else math.inf
    return a / b


def ratio(ours, theirs):
    """Median and interval of the paired ratios."""
    ratios = [one_ratio(a, b) for a, b in zip(ours, theirs)]
    low, high = interval(ratios)
    return statistics.median(ratios), low, high


def verdict(low, high, target, less_is_better):
    """Against a target: met or missed when the whole interval is on one side, else a tie.

    Without a target there is nothing to meet: the ratio is compared with 1.
    """
    if low < 0:
        return "-"
    if target is None:
        better, worse, line = "better", "worse", 1.0
        if low == high == line:
            return "tie"
    else:
        better, worse, line = "met", "missed", target
    if not less_is_better:
        low, high, line = -high, -low, -line
    if high <= line:
        return better
    return worse if low > line else "tie"
