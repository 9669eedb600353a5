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

#endif
