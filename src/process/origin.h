/* SPDX-License-Identifier: MIT */
/* process/origin.h: what process.c finds in an origin (process.h has its door). */
#ifndef WEFT_PROCESS_ORIGIN_H
#define WEFT_PROCESS_ORIGIN_H

#include "process/image.h"
#include "process/surroundings.h"

/* Constant after open. */
struct process_origin {
    struct surroundings surroundings;
    uint64_t memory_bytes_max; /* 0: no limit */
    int snapshot;              /* control socket of a zygote of its own; -1: the program's */
    struct images images;      /* the code that this one has */
};

/* How functions travel to processes of an origin (code.h); NULL: of none. */
bool origin_by_number(const struct process_origin *origin);

/* The control socket of the zygote that forks its processes; NULL: of none. */
int origin_control(const struct process_origin *origin);

#endif
