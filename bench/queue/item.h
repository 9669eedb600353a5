/* SPDX-License-Identifier: MIT */
/* What goes through the queues that are compared: 16 bytes. */
#ifndef BENCH_QUEUE_ITEM_H
#define BENCH_QUEUE_ITEM_H

#include <stdint.h>

struct item {
    uint64_t number, other;
};

#endif
