/* SPDX-License-Identifier: MIT */
/* task/deque.c: the growing of a deque (deque.h says why old rings stay). */
#include <stdlib.h>

#include "task/deque.h"

bool deque_grow(struct deque *deque)
{
    struct ring *old = load_relaxed(&deque->ring); /* relaxed: own */
    uint64_t size = old ? 2 * old->size : DEQUE_FIRST;
    if (size > DEQUE_MAX)
        return false;
    struct ring *ring = malloc(sizeof *ring + size * sizeof *ring->slots);
    if (!ring)
        return false;
    *ring = (struct ring){ .older = old, .size = size };
    uint64_t bottom = load_relaxed(&deque->bottom); /* relaxed: own */
    for (uint64_t place = bottom - (old ? old->size : 0); place != bottom; place++)
        *ring_slot(ring, place) = *ring_slot(old, place); /* those that were taken do not matter */
    store_release(&deque->ring, ring); /* pairs with the acquire in deque_steal() */
    return true;
}
