/* SPDX-License-Identifier: MIT */
/*
 * process/slabs.h: blocks of shared memory that are smaller than a few units, and what is known of
 * each unit that begins something.
 */
#ifndef WEFT_PROCESS_SLABS_H
#define WEFT_PROCESS_SLABS_H

#include "process/units.h"

#define SLAB_BLOCK_MAX ((size_t)8192)
#define SLAB_CLASSES   24

/* What all processes share of it, in the range's header, besides the tables. */
struct slabs_shared {
    uint64_t hints[SLAB_CLASSES]; /* the word of a class's rooms to look at first */
};

/* Where it lies. Constant after shared_open(), and the same in every process. */
struct slabs {
    struct slabs_shared *shared;
    uint64_t *metas; /* a word for each unit: what begins there */
    uint64_t *rooms; /* a bitmap of units for each class: slabs with a block that is free */
};
extern struct slabs slabs;

/*
 * A word of the metas: what it is in the upper 6 bits.
 *
 *   0          nothing begins there
 *   1 to 24    a slab of the class before: in the lower 58 bits, which of its blocks are given
 *   META_TAIL  a unit of a slab that is not its first; lower bits: how many units before it that is
 *   META_RUN   a run of units given as one block; lower bits: how many
 */
#define META_SHIFT 58
#define META_TAIL  UINT64_C(62)
#define META_RUN   UINT64_C(63)
#define META_BITS  ((UINT64_C(1) << META_SHIFT) - 1)

static inline uint64_t meta_of(uint64_t what, uint64_t bits)
{
    return what << META_SHIFT | bits;
}

static inline uint64_t meta_what(uint64_t meta)
{
    return meta >> META_SHIFT;
}

static inline uint64_t meta_bits(uint64_t meta)
{
    return meta & META_BITS;
}

/* units_take(), with what slabs can spare when units run out. */
size_t slabs_take_units(size_t n, size_t align, bool zeroed);

/* Gives a block of at least that many bytes, 1 to SLAB_BLOCK_MAX, aligned to 64, which holds
 * anything; NULL: there is no memory. */
void *slabs_take(size_t bytes);

/* Takes a block back that lies in the slab that begins at a unit. False: none was given there. */
bool slabs_give(size_t unit, const void *block);

/* The size of the block that is given and begins there, in the slab that begins at a unit; 0. */
size_t slabs_block_bytes(size_t unit, const void *block);

#endif
