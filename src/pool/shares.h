/* SPDX-License-Identifier: MIT */
/*
 * pool/shares.h: the items of a map that nobody was given yet, and which of them are whose.
 *
 * Each member of a pool has a share: neighbouring items, of which it gets the first ones first. One
 * that has none left gets half of what is left of the largest, its end (lazy binary splitting;
 * Tzannes, Caragea, Barua and Vishkin, 2010). So in the next map over the same array a process
 * meets the items that it had in this one, which is what an affinity partitioner is for: its page
 * tables and caches know them. A process that touches a page of shared memory for the first time
 * pays as much as for copying it several times.
 *
 * With one share for all, items are given in their order.
 */
#ifndef WEFT_POOL_SHARES_H
#define WEFT_POOL_SHARES_H

#include <stddef.h>
#include <stdint.h>

struct share {
    size_t next, end;
};

struct shares {
    struct share *shares;
    uint32_t n;
    size_t left;      /* items in all of them */
    struct share one; /* what there is if there is no memory for more */
};

/* Shares count items out to n members, or (1, or no memory) to all together. */
void shares_open(struct shares *shares, size_t count, uint32_t n);

void shares_close(struct shares *shares);

/* Where a member's next items are. Returns how many there are: 0 when nothing is left. */
size_t shares_next(struct shares *shares, uint32_t member, size_t *ret_first);

/* So many of them were given to it. */
void shares_take(struct shares *shares, uint32_t member, size_t n);

#endif
