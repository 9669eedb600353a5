/* SPDX-License-Identifier: MIT */
/*
 * base/shared_range.h: which memory all processes of the program share: the address says it.
 *
 * The room process maps the range, in weft_init(), and says here where it is; until then, and
 * without it, nothing is shared.
 */
#ifndef WEFT_BASE_SHARED_RANGE_H
#define WEFT_BASE_SHARED_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Written by weft_init(), while there is one thread. */
extern char *shared_begin __attribute__((visibility("hidden")));
extern size_t shared_bytes __attribute__((visibility("hidden")));

/* weft_shared_alloc(), weft_shared_free(), for rooms below the one that has them; set with these.
 */
extern void *(*shared_alloc)(size_t bytes) __attribute__((visibility("hidden")));
extern void (*shared_free)(void *memory) __attribute__((visibility("hidden")));

static inline bool is_shared(const void *address)
{
    return __builtin_expect((uintptr_t)address - (uintptr_t)shared_begin < shared_bytes, 0);
}

#endif
