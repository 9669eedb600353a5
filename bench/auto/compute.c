/* SPDX-License-Identifier: MIT */
/* A library with the work of a call that computes, for Python: its ctypes let go of the GIL. */
#include "harness/harness.h"

void auto_compute(unsigned rounds);

void auto_compute(unsigned rounds)
{
    bench_work(rounds);
}
