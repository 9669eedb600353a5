/* SPDX-License-Identifier: MIT */
/* process/origin.h: what process.c finds in an origin (process.h has its door). */
#ifndef WEFT_PROCESS_ORIGIN_H
#define WEFT_PROCESS_ORIGIN_H

#include "process/surroundings.h"

/* Constant after open. */
struct process_origin {
    struct surroundings surroundings;
    uint64_t memory_bytes_max; /* 0: no limit */
};

/* How functions travel to processes of an origin (code.h); NULL: of none. */
bool origin_by_number(const struct process_origin *origin);

#endif
