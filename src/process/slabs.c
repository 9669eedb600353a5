/* SPDX-License-Identifier: MIT */
/*
 * process/slabs.c: small blocks of shared memory.
 *
 * A slab is 1, 4 or 16 units, cut into at most 58 blocks of one class of size. There are 24
 * classes: 64, 128, 192 and 256 bytes, then four to each doubling, up to 8 KiB. All that is known
 * of a slab is one word (its meta): its class, and a bit for each block that is given.
 *
 *     meta   | class + 1 | 0 0 1 1 0 1 1 1 |
 *     slab   | block 0 | block 1 | ...
 *
 * To take a block is to set its bit, to give it back to clear it, each by one compare-and-swap,
 * which says at the same time that the slab is still of that class: units may become another slab,
 * or something else, between any two looks. There are no lists, so there is no link to be read
 * too late, and a block that is given back twice is found out, unless it was given to another
 * meanwhile.
 *
 * Where there is room is a hint: a bitmap of units for each class. Who fills a slab clears the bit,
 * then looks at the slab again; who frees a block looks at the bit afterwards, and sets it. One of
 * them sees the other. Who dies between the two hides a slab until another of its blocks is freed.
 *
 * A slab that has become empty goes back to the units if its class has room elsewhere, or when
 * units run out. Who claims it makes its meta 0; from then on nobody can take a block of it. If he
 * dies now, its units are lost: at most 64 KiB, the most that a death can cost besides a block
 * itself.
 */
#include "base/atomic.h"
#include "process/slabs.h"

#define LINE       ((size_t)64)
#define BLOCKS_MAX ((size_t)META_SHIFT)
#define WORD       ((size_t)64)

struct slabs slabs;

/* ---- classes */

static size_t class_of(size_t bytes)
{
    size_t lines = (bytes + LINE - 1) / LINE;
    if (lines <= 4)
        return lines - 1;
    size_t exponent = 63 - (size_t)__builtin_clzll(lines - 1); /* lines in (2^e, 2^(e+1)] */
    size_t quarter = (lines - 1) >> (exponent - 2);            /* 4 to 7 */
    return 4 * (exponent - 2) + quarter;
}

static size_t block_bytes(size_t class)
{
    if (class < 4)
        return (class + 1) * LINE;
    return (class % 4 + 5) << (class / 4 - 1) << 6;
}

/* Of a slab: so many that it has 8 blocks or more, and does not waste much. */
static size_t unit_count(size_t class)
{
    size_t bytes = block_bytes(class);
    return bytes <= 256 ? 1 : bytes <= 1024 ? 4 : 16;
}

static size_t block_count(size_t class)
{
    size_t n = unit_count(class) * UNIT_BYTES / block_bytes(class);
    return n < BLOCKS_MAX ? n : BLOCKS_MAX;
}

static uint64_t all_blocks(size_t class)
{
    return (UINT64_C(1) << block_count(class)) - 1;
}

static bool has_room(uint64_t meta, size_t class)
{
    return meta_what(meta) == class + 1 && meta_bits(meta) != all_blocks(class);
}

/* ---- room */

static uint64_t *room_of(size_t class, size_t unit)
{
    return &slabs.rooms[class * units.words + unit / WORD];
}

static uint64_t bit_of(size_t unit)
{
    return UINT64_C(1) << unit % WORD;
}

/* After a block was freed. */
static void show_room(size_t class, size_t unit)
{
    uint64_t *room = room_of(class, unit);
    fence_seq_cst(); /* the slab was written before its bit is read: pairs with hide_room() */
    if (!(load_relaxed(room) & bit_of(unit))) /* relaxed: after the fence */
        or_relaxed(room, bit_of(unit));       /* relaxed: a hint */
}

/* After a slab was seen to have none. */
static void hide_room(size_t class, size_t unit)
{
    and_relaxed(room_of(class, unit), ~bit_of(unit)); /* relaxed: before the fence */
    fence_seq_cst(); /* the bit was written before the slab is read: pairs with show_room() */
    if (has_room(load_relaxed(&slabs.metas[unit]), class)) /* relaxed: a hint */
        or_relaxed(room_of(class, unit), bit_of(unit));    /* relaxed: a hint */
}

/* The first unit of a slab that may have room. */
static size_t find_room(size_t class)
{
    const uint64_t *rooms = room_of(class, 0);
    uint64_t *hint = &slabs.shared->hints[class];
    uint64_t top = load_relaxed(&units.shared->top); /* relaxed: what lies above has no room yet */
    uint64_t word = load_relaxed(hint);              /* relaxed: a hint */
    for (uint64_t i = 0; i < top; i++, word++) {
        word = word < top ? word : 0;
        uint64_t bits = load_relaxed(&rooms[word]); /* relaxed: the slab's own word is checked */
        if (!bits)
            continue;
        if (i > 0)
            store_relaxed(hint, word); /* relaxed: a hint */
        return word * WORD + (size_t)__builtin_ctzll(bits);
    }
    return NO_UNIT;
}

/* Whether the class has room besides that in a slab, as far as can be seen at once. */
static bool room_elsewhere(size_t class, size_t unit)
{
    uint64_t hint = load_relaxed(&slabs.shared->hints[class]);          /* relaxed: hints, */
    uint64_t here = load_relaxed(room_of(class, unit)) & ~bit_of(unit); /* all of them */
    return here || (hint != unit / WORD && load_relaxed(room_of(class, hint * WORD)));
}

/* ---- slabs */

static void *block_at(size_t unit, size_t class, size_t block)
{
    return units_memory(unit) + block * block_bytes(class);
}

/* Gives up a slab if it is empty. From then on nobody can take a block of it. */
static bool end_slab(size_t class, size_t unit)
{
    uint64_t empty = meta_of(class + 1, 0);
    size_t n = unit_count(class);
    if (!cas_acquire(&slabs.metas[unit], &empty, 0)) /* acquire: with slabs_give(), in others */
        return false;
    hide_room(class, unit);
    for (size_t i = 1; i < n; i++)
        store_relaxed(&slabs.metas[unit + i], 0); /* relaxed: given back by a release */
    units_give(unit, n);
    return true;
}

/* Gives up all slabs that are empty. False: there was none. */
static bool end_empty_slabs(void)
{
    bool ended = false;
    uint64_t top = load_relaxed(&units.shared->top); /* relaxed: as in find_room() */
    for (size_t class = 0; class < SLAB_CLASSES; class ++)
        for (size_t word = 0; word < top; word++) {
            uint64_t rooms = load_relaxed(room_of(class, word * WORD)); /* relaxed: a hint */
            for (; rooms; rooms &= rooms - 1)
                ended |= end_slab(class, word * WORD + (size_t)__builtin_ctzll(rooms));
        }
    return ended;
}

/* Makes a slab, of which the first block is the caller's. */
static void *begin_slab(size_t class)
{
    size_t n = unit_count(class), unit = slabs_take_units(n, n, false);
    if (unit == NO_UNIT)
        return NULL;
    for (size_t i = 1; i < n; i++)
        store_relaxed(&slabs.metas[unit + i], meta_of(META_TAIL, i)); /* relaxed: before the */
    store_release(&slabs.metas[unit], meta_of(class + 1, 1));         /* release: with take_in() */
    show_room(class, unit);
    return block_at(unit, class, 0);
}

/* Takes a block of a slab; NULL: it has none, or is no slab of that class any more. */
static void *take_in(size_t class, size_t unit)
{
    uint64_t *word = &slabs.metas[unit], meta = load_relaxed(word); /* relaxed: checked below */
    while (has_room(meta, class)) {
        size_t block = (size_t)__builtin_ctzll(~meta);
        uint64_t taken = meta | UINT64_C(1) << block;
        if (!cas_acquire(word, &meta, taken)) /* acquire: with slabs_give(), begin_slab() */
            continue;
        if (!has_room(taken, class))
            hide_room(class, unit);
        return block_at(unit, class, block);
    }
    return NULL;
}

/* ---- the door */

size_t slabs_take_units(size_t n, size_t align, bool zeroed)
{
    size_t first = units_take(n, align, zeroed);
    return first == NO_UNIT && end_empty_slabs() ? units_take(n, align, zeroed) : first;
}

void *slabs_take(size_t bytes)
{
    size_t class = class_of(bytes);
    for (size_t unit; (unit = find_room(class)) != NO_UNIT; hide_room(class, unit)) {
        void *block = take_in(class, unit);
        if (block)
            return block;
    }
    return begin_slab(class);
}

size_t slabs_block_bytes(size_t unit, const void *block)
{
    uint64_t meta = load_relaxed(&slabs.metas[unit]); /* relaxed: the asker knows of the block */
    size_t class = (size_t)meta_what(meta) - 1;
    if (class >= SLAB_CLASSES)
        return 0;
    size_t offset = (size_t)((const char *)block - units_memory(unit));
    size_t index = offset / block_bytes(class);
    bool given = offset % block_bytes(class) == 0 && index < block_count(class) &&
                 meta_bits(meta) >> index & 1;
    return given ? block_bytes(class) : 0;
}

bool slabs_give(size_t unit, const void *block)
{
    uint64_t *word = &slabs.metas[unit], meta = load_relaxed(word), left; /* relaxed: checked */
    size_t class = (size_t)meta_what(meta) - 1;
    if (class >= SLAB_CLASSES)
        return false;
    size_t offset = (size_t)((const char *)block - units_memory(unit));
    size_t index = offset / block_bytes(class);
    if (offset % block_bytes(class) || index >= block_count(class))
        return false;
    uint64_t bit = UINT64_C(1) << index;
    do {
        if (meta_what(meta) != class + 1 || !(meta & bit))
            return false;
        left = meta & ~bit;
    } while (!cas_release(word, &meta, left)); /* release: with take_in() and end_slab() */
    show_room(class, unit);
    if (meta_bits(left) == 0 && room_elsewhere(class, unit))
        end_slab(class, unit);
    return true;
}
