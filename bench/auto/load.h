/* SPDX-License-Identifier: MIT */
/*
 * The four loads of the auto benchmark. Each call waits (50 ms, as for a page) or computes (5 ms, a
 * number of rounds of bench_work() that is the same on every side):
 *
 *     io        all wait
 *     cpu       all compute
 *     mixed     one waits, the next computes, and so on
 *     changing  all wait; when the last of them has begun, all compute
 */
#ifndef BENCH_AUTO_LOAD_H
#define BENCH_AUTO_LOAD_H

#include <stdint.h>
#include <string.h>

#include "harness/harness.h"

#define WAIT_NS 50000000

struct load {
    unsigned long waiting, computing; /* calls */
    unsigned rounds;                  /* of one that computes */
    bool alternating;
};

/* What a call is told: how much to compute; 0: to wait. */
static inline unsigned load_rounds(const struct load *load, unsigned long index)
{
    bool waits = load->alternating ? index % 2 == 0 : index < load->waiting;
    return waits ? 0 : load->rounds;
}

static inline struct load load_of(const char *name, unsigned long calls, unsigned rounds)
{
    struct load load = { .waiting = calls, .rounds = rounds };
    if (strcmp(name, "cpu") == 0)
        load = (struct load){ .computing = calls, .rounds = rounds };
    else if (strcmp(name, "mixed") == 0)
        load = (struct load){ calls / 2, calls - calls / 2, rounds, true };
    else if (strcmp(name, "changing") == 0) /* takes as long to wait as to compute, on 2 CPUs */
        load = (struct load){ calls - calls / 13, calls / 13, rounds, false };
    else
        bench_must(strcmp(name, "io") == 0, "no such load");
    return load;
}

#endif
