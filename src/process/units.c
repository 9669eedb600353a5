/* SPDX-License-Identifier: MIT */
/*
 * process/units.c: the units of the shared range: two bits each, used and dirty.
 *
 * A run is taken by setting its used bits, a word at a time, by compare-and-swap; who finds one of
 * them set takes back what he has and looks further. It is given back by clearing them. Nothing is
 * locked, and who dies in the middle takes his run with him, or a part of it.
 *
 * A unit is dirty if it may hold something else than zeroes, and so also has pages of memory. Units
 * that are given back stay so, because a page costs a hundred times as much to get from the system
 * again as to clear (measured: 2.1 us against 25 ns, and 0.65 us to give it away): up to kept_max
 * of them. The pages of what is given back beyond that are returned. The number kept is a count
 * that a death can leave too high, so it is counted afresh now and then when it seems to be so.
 *
 * The search is first-fit, which keeps what is in use together and reuses what is warm. It begins
 * at a hint below which there was nothing of such a size, and once more from the beginning if there
 * is nothing above. Who gives a run back lowers the hints. They are only hints: whatever they say,
 * a run that is free all the time is found.
 *
 * Where overcommit is strict (shared.c) the system may refuse a page, and whoever touched it would
 * die of SIGBUS. There units that are not dirty get their pages as they are taken, and a refusal is
 * NO_UNIT.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "process/units.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define WORD              ((size_t)64)
#define MERGED_WORDS_MAX  1024         /* how far a hint is lowered over what was free before */
#define TRIMMED_UNITS_MAX ((size_t)16) /* at a time, of small pages: a death loses them */

struct units units;

/* ---- words of a run */

static size_t last_word(size_t first, size_t n)
{
    return (first + n - 1) / WORD;
}

/* The bits of a run that lie in a word. */
static uint64_t bits_in(size_t word, size_t first, size_t n)
{
    uint64_t bits = UINT64_MAX;
    if (word == first / WORD)
        bits &= UINT64_MAX << first % WORD;
    if (word == last_word(first, n))
        bits &= UINT64_MAX >> (WORD - 1 - (first + n - 1) % WORD);
    return bits;
}

/* The lowest bits in a row, of at least one. */
static uint64_t lowest_row(uint64_t bits)
{
    return bits & ~(bits + (bits & -bits));
}

static void *row_memory(size_t word, uint64_t row)
{
    return units_memory(word * WORD + (size_t)__builtin_ctzll(row));
}

static size_t row_bytes(uint64_t row)
{
    return (size_t)__builtin_popcountll(row) * UNIT_BYTES;
}

/* ---- pages */

static void zero_rows(size_t word, uint64_t bits)
{
    for (uint64_t row; bits; bits &= ~row) {
        row = lowest_row(bits);
        memset(row_memory(word, row), 0, row_bytes(row));
    }
}

/* Gets the pages of units now. The system's pages may be larger than units. */
static bool reserve_rows(size_t word, uint64_t bits)
{
    for (uint64_t row; bits; bits &= ~row) {
        row = lowest_row(bits);
        uintptr_t begin = (uintptr_t)row_memory(word, row), end = begin + row_bytes(row);
        begin &= ~(uintptr_t)(units.page_bytes - 1);
        end = (end + units.page_bytes - 1) & ~(uintptr_t)(units.page_bytes - 1);
        if (madvise((void *)begin, end - begin, MADV_POPULATE_WRITE) < 0)
            return false;
    }
    return true;
}

/* Returns the pages of a run to the system: those that have nothing else in them. */
static void punch(size_t first, size_t n)
{
    size_t each = units.page_bytes / UNIT_BYTES;
    size_t begin = (first + each - 1) / each * each, end = (first + n) / each * each;
    if (!units.punches || begin >= end ||
        madvise(units_memory(begin), (end - begin) * UNIT_BYTES, MADV_REMOVE) < 0)
        return;
    for (size_t word = begin / WORD; word <= last_word(begin, end - begin); word++)
        and_relaxed(&units.dirty[word], ~bits_in(word, begin, end - begin)); /* relaxed: the run */
    sub_relaxed(&units.shared->kept, end - begin); /* is given back by a release; a count */
}

/* Makes taken units fit for use. False: the system has no pages for them. */
static bool prepare(size_t first, size_t n, bool zeroed)
{
    for (size_t word = first / WORD; word <= last_word(first, n); word++) {
        uint64_t ours = bits_in(word, first, n);
        uint64_t dirty = load_relaxed(&units.dirty[word]) & ours; /* relaxed: see take_bits() */
        if (zeroed)
            zero_rows(word, dirty);
        if (units.reserves && !reserve_rows(word, ours & ~dirty))
            return false;
        if (dirty != ours)
            or_relaxed(&units.dirty[word], ours); /* relaxed: ours until given back */
        if (dirty)
            sub_relaxed(&units.shared->kept, (uint64_t)__builtin_popcountll(dirty)); /* a count */
    }
    return true;
}

/* ---- bits */

static void give_bits(size_t first, size_t n)
{
    for (size_t word = first / WORD; word <= last_word(first, n); word++)
        and_release(&units.used[word], ~bits_in(word, first, n)); /* release: with take_bits() */
}

/* Sets the used bits of a run. False: one of them was set. */
static bool take_bits(size_t first, size_t n)
{
    for (size_t word = first / WORD; word <= last_word(first, n); word++) {
        uint64_t ours = bits_in(word, first, n), old = load_relaxed(&units.used[word]);
        do { /* relaxed, above: the compare-and-swap checks it */
            if (old & ours) {
                if (word > first / WORD)
                    give_bits(first, word * WORD - first);
                return false;
            }
        } while (!cas_acquire(&units.used[word], &old, old | ours)); /* with give_bits() */
    }
    return true;
}

/* The first unit from one on, and before end, whose used bit is not that of flip; else end. */
static size_t next_unit(size_t from, size_t end, uint64_t flip)
{
    if (from >= end)
        return end;
    size_t word = from / WORD;
    uint64_t bits = load_relaxed(&units.used[word]) ^ flip; /* relaxed: take_bits() checks it */
    bits &= UINT64_MAX << from % WORD;
    while (!bits) {
        if (++word * WORD >= end)
            return end;
        bits = load_relaxed(&units.used[word]) ^ flip; /* relaxed: likewise */
    }
    size_t unit = word * WORD + (size_t)__builtin_ctzll(bits);
    return unit < end ? unit : end;
}

/* Finds a run and takes it. */
static size_t search(size_t from, size_t n, size_t align)
{
    while ((from = next_unit(from, units.count, UINT64_MAX)) < units.count) {
        from = (from + align - 1) & ~(align - 1);
        if (from >= units.count || n > units.count - from)
            return NO_UNIT;
        size_t end = next_unit(from, from + n, 0);
        if (end < from + n)
            from = end;
        else if (take_bits(from, n))
            return from;
    }
    return NO_UNIT;
}

static uint64_t *hint_for(size_t n)
{
    return &units.shared->hints[n == 1 ? 0 : n <= 16 ? 1 : 2];
}

static void lower_hint(size_t which, size_t unit)
{
    uint64_t *hint = &units.shared->hints[which];
    uint64_t old = load_relaxed(hint); /* relaxed, both: a hint */
    while (unit < old && !cas_relaxed(hint, &old, unit))
        continue;
}

static void lower_hints(size_t first)
{
    size_t word = first / WORD, least = word > MERGED_WORDS_MAX ? word - MERGED_WORDS_MAX : 0;
    lower_hint(0, first);
    lower_hint(1, first > 16 ? first - 16 : 0);
    while (word > least && load_relaxed(&units.used[word - 1]) == 0) /* relaxed: a hint */
        word--;
    lower_hint(2, word * WORD);
}

static void raise_top(uint64_t words)
{
    uint64_t top = load_relaxed(&units.shared->top); /* relaxed: what lies below tells itself */
    while (top < words && !cas_relaxed(&units.shared->top, &top, words))
        continue;
}

/* ---- what is kept */

static void count_kept(void)
{
    uint64_t kept = 0, top = load_relaxed(&units.shared->top); /* relaxed, all: an estimate */
    for (size_t word = 0; word < top; word++)
        kept += (uint64_t)__builtin_popcountll(load_relaxed(&units.dirty[word]) &
                                               ~load_relaxed(&units.used[word]));
    store_relaxed(&units.shared->kept, kept);
}

/* By how many units too much is kept. Signed, since strands that give back while it is counted may
 * leave the count too low for a moment. */
static int64_t too_many_kept(void)
{
    return (int64_t)load_relaxed(&units.shared->kept) - (int64_t)units.kept_max; /* an estimate */
}

/* Returns the pages of free units of a word. */
static void trim_word(size_t word)
{
    uint64_t dirty = load_relaxed(&units.dirty[word]); /* relaxed, both: take_bits() checks it */
    uint64_t bits = dirty & ~load_relaxed(&units.used[word]);
    size_t most = TRIMMED_UNITS_MAX * units.page_bytes / UNIT_BYTES;
    for (uint64_t row; bits; bits &= ~row) {
        row = lowest_row(bits);
        size_t first = (size_t)__builtin_ctzll(row), n = (size_t)__builtin_popcountll(row);
        n = n < most ? n : most;
        row &= bits_in(0, first, n);
        if (!take_bits(word * WORD + first, n))
            continue;
        punch(word * WORD + first, n);
        give_bits(word * WORD + first, n);
    }
}

/* Returns pages until less is kept than may be, beginning where the last such round has ended. */
static void trim(void)
{
    int64_t margin = (int64_t)units.kept_max / 32;
    uint64_t top = load_relaxed(&units.shared->top); /* relaxed: nothing is kept above, yet */
    for (uint64_t i = 0; i < top && too_many_kept() + margin > 0; i++)
        trim_word(add_relaxed(&units.shared->hand, 1) % top); /* relaxed: where does not matter */
    if (too_many_kept() > 0) /* a death has left the count too high */
        count_kept();
}

/* ---- the door */

size_t units_take(size_t n, size_t align, bool zeroed)
{
    uint64_t *hint = hint_for(n), from = load_relaxed(hint); /* relaxed: a hint */
    size_t first = search(from, n, align);
    if (first == NO_UNIT && from > 0)
        first = search(0, n, align);
    if (first == NO_UNIT)
        return NO_UNIT;
    cas_relaxed(hint, &from, first + n); /* unless somebody has changed it; a hint */
    raise_top(last_word(first, n) + 1);
    if (prepare(first, n, zeroed))
        return first;
    units_give(first, n);
    return NO_UNIT;
}

void units_give(size_t first, size_t n)
{
    add_relaxed(&units.shared->kept, n); /* relaxed: a count */
    if (n > units.kept_max)
        punch(first, n);
    else if (units.punches && too_many_kept() > 0)
        trim(); /* others: what is given back last is used first */
    give_bits(first, n);
    lower_hints(first);
}
