/* SPDX-License-Identifier: MIT */
/*
 * process/units.h: which parts of the shared range are taken, in units of 4 KiB.
 *
 * Units are taken and given back as runs. Neighbours that are free are one free run, whoever gave
 * them back and in whatever pieces, since all that is known of a unit is its bit.
 */
#ifndef WEFT_PROCESS_UNITS_H
#define WEFT_PROCESS_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNIT_BYTES ((size_t)4096)
#define NO_UNIT    SIZE_MAX

/* What all processes share of it, in the range's header, besides the bitmaps. */
struct units_shared {
    uint64_t top;      /* words of the bitmaps that were ever used; only grows */
    uint64_t kept;     /* free units whose pages are kept: about, and never for long too many */
    uint64_t hand;     /* modulo top: the word whose pages are returned next */
    uint64_t hints[3]; /* where to look first for a unit, for up to 16, for more */
};

/* Where it lies. Constant after shared_open(), and the same in every process. */
struct units {
    struct units_shared *shared;
    char *memory;           /* of unit 0 */
    uint64_t *used, *dirty; /* a bit for each unit */
    size_t count, words;    /* units; words of a bitmap */
    size_t page_bytes;      /* the system's */
    uint64_t kept_max;      /* how many free units keep their pages */
    bool punches;           /* MADV_REMOVE gives pages back */
    bool reserves;          /* pages are asked for when units are taken (strict overcommit) */
};
extern struct units units;

static inline char *units_memory(size_t unit)
{
    return units.memory + unit * UNIT_BYTES;
}

/*
 * Takes n units in a row, the first of which is a multiple of align (a power of two). Their memory
 * holds anything; zeroes, if zeroed. Returns the first; NO_UNIT: there are none.
 */
size_t units_take(size_t n, size_t align, bool zeroed);

/* Gives them back. */
void units_give(size_t first, size_t n);

#endif
