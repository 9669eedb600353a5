/* SPDX-License-Identifier: MIT */
/*
 * Prints how many rounds of bench_work() take NS nanoseconds on this machine. Calibrated once per
 * run and handed to every side, so that all of them do the same work.
 */
#include "harness.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    unsigned ns = (unsigned)bench_argument(argc, argv, 1, "NS");
    printf("{\"rounds\": %u}\n", bench_work_rounds(ns));
    return 0;
}
