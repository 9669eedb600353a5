/* SPDX-License-Identifier: MIT */
/* Starts and joins N threads, one after the other, with C++'s std::thread. */
#include "harness/harness.h"

#include <cstdio>
#include <thread>

int main(int argc, char **argv)
{
    unsigned long n = bench_argument(argc, argv, 1, "N");
    uint64_t start = bench_now();
    for (unsigned long i = 0; i < n; i++)
        std::thread([] {}).join();
    uint64_t took = bench_now() - start;
    std::printf("{\"ns\": %.1f}\n", static_cast<double>(took) / static_cast<double>(n));
    return 0;
}
