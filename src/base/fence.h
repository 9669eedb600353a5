/* SPDX-License-Identifier: MIT */
/*
 * base/fence.h: two fences that work as a pair, one that costs nothing and one that costs a lot.
 *
 *     the many, often                     the few, seldom
 *     store x; fence_light(); load y      store y; fence_heavy(); load x
 *
 * As with two full fences, not both sides can miss the other's store. The light one only keeps the
 * compiler from reordering; the heavy one makes every CPU that runs a thread of this process pass a
 * full fence (membarrier(2), about 3 us). Where the kernel does not offer that, both are full.
 */
#ifndef WEFT_BASE_FENCE_H
#define WEFT_BASE_FENCE_H

#include "base/atomic.h"

/* False: the light fence must be a full one. Changes to false at most, see fence.c. */
extern bool fence_is_light __attribute__((visibility("hidden")));

static inline void fence_light(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__builtin_expect(!load_relaxed(&fence_is_light), 0)) /* relaxed: see fence.c */
        __sync_synchronize();
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Signal-safe. Costs a system call. */
void fence_heavy(void);

#endif
