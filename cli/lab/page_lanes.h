/* SPDX-License-Identifier: MIT */
/* What a timeline amounts to: which CPUs took part, how often computing overlapped, and lanes of
 * blocks, merged to what a drawing can show. */
#ifndef LAB_PAGE_LANES_H
#define LAB_PAGE_LANES_H

#include <stdio.h>

#include "results.h"

enum {
    LANE_COLUMNS = 480, /* of a drawing's width: about a pixel each */
    LANE_CPUS_MAX = 16, /* what others than the lowest of them computed counts as the last one's */
    LANE_LOOKS = 4,     /* of blocks: CPUs share them in turn */
};

/* CPUs on which somebody computed, in order. */
struct lane_cpus {
    uint32_t at[LANE_CPUS_MAX];
    size_t count;
};

/* Adds those of a timeline. */
void lane_add_cpus(struct lane_cpus *cpus, const struct lab_timeline *timeline);

struct lane_facts {
    double computing;         /* 0 to 1: of the time, in which somebody computed */
    double parallel;          /* 0 to 1: of the time, in which two or more did */
    size_t turns;             /* how often a CPU went on with another worker */
    uint32_t waiting_at_once; /* the most workers that waited at some moment */
};

/* Returns 0 or -ENOMEM. */
int lane_facts(const struct lab_timeline *timeline, struct lane_facts *ret);

/* What a column of a lane shows; of computing, + which of the looks. */
enum { LANE_IDLE, LANE_WAITING, LANE_COMPUTING };

struct lane {
    unsigned char columns[LANE_COLUMNS];
};

/* The lane of a worker, or of one of the CPUs, from 0 to end_ns. A CPU's look is its index among
 * those of the whole page. */
void lane_of_worker(const struct lab_timeline *timeline, const struct lane_cpus *page,
                    uint32_t worker, int64_t end_ns, struct lane *ret);
void lane_of_cpu(const struct lab_timeline *timeline, const struct lane_cpus *page, uint32_t cpu,
                 int64_t end_ns, struct lane *ret);

/* Whether any column shows that; an SVG path along y = 0 of all that do. */
bool lane_shows(const struct lane *lane, unsigned char shown);
void lane_path(FILE *to, const struct lane *lane, unsigned char shown);

#endif
