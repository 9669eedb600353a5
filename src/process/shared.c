/* SPDX-License-Identifier: MIT */
/*
 * process/shared.c: memory that all processes of the program see at the same address.
 *
 * weft_init() maps one range before the zygote is forked, so that every process inherits it where
 * it is. Behind it is a memfd: nothing is left behind when the last process is gone, and memory is
 * used only once it is touched. The range is 64 GiB of addresses, or less where limits say so.
 *
 * Death may come between any two instructions of any process, so nothing here is ever locked. The
 * range is a header, then blocks, carved off one after the other and never merged or split:
 *
 *     top ------------------------------------------------------v
 *     | header | block | memory | block | memory | ...          | not carved yet ... |
 *
 * Blocks come in classes of size, four to each doubling. A freed block is pushed on its class's
 * list, an allocation pops one or carves. Each step that others see is one compare-and-swap; who
 * dies between two of them takes one block with him and harms nobody.
 *
 * Lists are Treiber stacks. A head is the position of the first free block in units of 16 bytes (0:
 * none) in the lower half and a count of changes in the upper half: a pop that was overtaken by
 * others fails even if the same block is on top again. A pop may read the link of a block that has
 * been popped meanwhile: the link is in the block, outside of the user's memory, and always mapped.
 *
 * Memory is given out zeroed. Small blocks are cleared when they are given out; from PUNCH_BYTES on
 * their pages are given back to the system when they are freed, and read as zeroes after that.
 *
 * Limits: 1 GiB per allocation. What is freed serves later allocations of the same class; of any
 * that fits once the range is used up.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weft/program.h>

#include "base/atomic.h"
#include "base/participants.h"
#include "base/shared_range.h"
#include "process/descriptors.h"
#include "process/process.h"
#include "process/shared.h"

#define RANGE_BYTES_MAX ((size_t)64 << 30) /* positions have 32 bits: 2^32 units of 16 bytes */
#define RANGE_BYTES_MIN ((size_t)1 << 20)
#define BYTES_MAX       ((size_t)1 << 30)
#define PUNCH_BYTES     ((size_t)128 << 10)
#define UNIT            ((size_t)16)
#define LINE            ((size_t)64)
#define CLASSES         ((size_t)95) /* class_of(BYTES_MAX) is 94 */

/* In front of each block's memory. */
struct block {
    uint32_t class; /* constant once carved */
    uint32_t next;  /* position of the next free one, 0: none; means something while on a list */
    uint32_t state; /* GIVEN, FREE: changed by compare-and-swap, so that one free() wins */
    uint32_t unused;
};

enum { GIVEN = 0x67697665, FREE = 0x66726565 }; /* words that are unlikely in other memory */

/* At the beginning of the range. */
struct header {
    struct participants participants;
    uint64_t top; /* offset of what is not carved yet; only grows */
    uint64_t heads[CLASSES];
};

static struct header *header; /* constant after weft_init() */
static size_t range_bytes;    /* likewise */
static bool punches;          /* likewise: MADV_REMOVE clears pages */

/* ---- classes: 16, 32, 48, then 4 to each doubling from 64 on: 112, 176, 240, 304, 368, ... */

static size_t class_of(size_t bytes)
{
    if (bytes < LINE - UNIT + 1)
        return (bytes + UNIT - 1) / UNIT - 1;
    size_t lines = (bytes + sizeof(struct block) + LINE - 1) / LINE; /* 2 or more */
    if (lines <= 4)
        return lines + 1;
    size_t exponent = 63 - (size_t)__builtin_clzll(lines - 1); /* lines in (2^e, 2^(e+1)] */
    size_t quarter = (lines - 1) >> (exponent - 2);            /* 4 to 7 */
    return 4 * (exponent - 2) + quarter + 2;
}

/* Of the block and its memory. */
static size_t stride_of(size_t class)
{
    if (class < 3)
        return (class + 1) * UNIT + sizeof(struct block);
    if (class <= 5)
        return (class - 1) * LINE;
    size_t quarter = (class - 2) % 4, exponent = (class - 2) / 4 + 1;
    return ((quarter + 5) << (exponent - 2)) * LINE;
}

/* ---- blocks */

static struct block *block_at(uint32_t position)
{
    return (struct block *)((char *)header + position * UNIT);
}

static uint32_t position_of(const struct block *block)
{
    return (uint32_t)((size_t)((const char *)block - (const char *)header) / UNIT);
}

static uint64_t head_of(uint64_t old, uint32_t position)
{
    return ((old >> 32) + 1) << 32 | position;
}

static void push(struct block *block)
{
    uint64_t *head = &header->heads[block->class];
    uint64_t old = load_relaxed(head); /* relaxed: the compare-and-swap checks it */
    do
        store_relaxed(&block->next, (uint32_t)old); /* relaxed: published by the release */
    while (!cas_release(head, &old, head_of(old, position_of(block)))); /* with pop()'s acquire */
}

static struct block *pop(size_t class)
{
    uint64_t *head = &header->heads[class];
    uint64_t old = load_acquire(head); /* acquire: pairs with push(); the link of the first */
    while ((uint32_t)old) {
        struct block *block = block_at((uint32_t)old);
        uint32_t next = load_relaxed(&block->next); /* relaxed: of no use if the swap fails */
        if (cas_acquire(head, &old, head_of(old, next)))
            return block;
        __atomic_thread_fence(__ATOMIC_ACQUIRE); /* a failed swap loads relaxed */
    }
    return NULL;
}

/* Cuts a new block off what was never used. Its memory is zero. */
static struct block *carve(size_t class)
{
    size_t align = class < 3 ? UNIT : LINE, stride = stride_of(class), begin, end;
    uint64_t top = load_relaxed(&header->top); /* relaxed: nobody has written what lies above */
    do {
        begin = ((top + sizeof(struct block) + align - 1) & ~(align - 1)) - sizeof(struct block);
        end = begin + stride;
        if (end > range_bytes)
            return NULL;
    } while (!cas_relaxed(&header->top, &top, end));
    struct block *block = (struct block *)((char *)header + begin);
    block->class = (uint32_t) class;
    return block;
}

static void *memory_of(struct block *block)
{
    return block + 1;
}

/* Zeroes a large block, giving its whole pages back to the system. */
static void punch(struct block *block)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *begin = memory_of(block), *end = (char *)block + stride_of(block->class);
    char *first = (char *)(((uintptr_t)begin + page - 1) & ~(page - 1));
    char *last = (char *)((uintptr_t)end & ~(page - 1));
    memset(begin, 0, (size_t)(first - begin));
    if (!punches || madvise(first, (size_t)(last - first), MADV_REMOVE) < 0)
        memset(first, 0, (size_t)(last - first));
    memset(last, 0, (size_t)(end - last));
}

/* ---- what users call */

void *weft_shared_alloc(size_t bytes)
{
    if (!header || bytes == 0 || bytes > BYTES_MAX)
        return NULL;
    size_t class = class_of(bytes);
    bool fresh = false;
    struct block *block = pop(class);
    if (!block) {
        block = carve(class);
        fresh = block != NULL;
    }
    while (!block && ++class < CLASSES)
        block = pop(class);
    if (!block)
        return NULL;
    if (!fresh && stride_of(block->class) < PUNCH_BYTES)
        memset(memory_of(block), 0, bytes);
    store_relaxed(&block->state, GIVEN); /* relaxed: only this strand knows the block */
    return memory_of(block);
}

void weft_shared_free(void *memory)
{
    if (!memory)
        return;
    struct block *block = (struct block *)memory - 1;
    uint32_t state = GIVEN;
    bool ours = process_sees_memory(memory) && (uintptr_t)memory % UNIT == 0 &&
                cas_relaxed(&block->state, &state, FREE);
    assert(ours && "weft_shared_free: freed before, or not from weft_shared_alloc()");
    if (!ours)
        return;
    if (stride_of(block->class) >= PUNCH_BYTES)
        punch(block);
    push(block);
}

bool process_sees_memory(const void *address)
{
    uintptr_t offset = (uintptr_t)address - (uintptr_t)header;
    return !address || (header && offset >= sizeof *header && offset < range_bytes);
}

/* ---- the range */

/* At most a quarter of what limits leave to the program: the rest is its own. */
static size_t bytes_wanted(void)
{
    static const int limits[] = { RLIMIT_AS, RLIMIT_FSIZE };
    size_t bytes = RANGE_BYTES_MAX;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        if (getrlimit(limits[i], &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
            continue;
        while (bytes > RANGE_BYTES_MIN && bytes > limit.rlim_cur / 4)
            bytes /= 2;
    }
    return bytes;
}

static void *map_range(int fd, size_t bytes)
{
    if (ftruncate(fd, (off_t)bytes) < 0)
        return MAP_FAILED;
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
}

/* Whether MADV_REMOVE does what it says. QEMU's user mode answers every madvise() with success, and
 * carries out few. */
static bool can_punch(char *range)
{
    *range = 1;
    return madvise(range, (size_t)sysconf(_SC_PAGESIZE), MADV_REMOVE) == 0 && *range == 0;
}

int shared_open(void)
{
    int fd = memfd_create("weft-shared", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t bytes = bytes_wanted();
    void *range = map_range(fd, bytes);
    while (range == MAP_FAILED && bytes > RANGE_BYTES_MIN) {
        bytes /= 2;
        range = map_range(fd, bytes);
    }
    close(fd); /* the mapping, and each child's, keeps the memory */
    if (range == MAP_FAILED)
        return -ENOMEM;
    (void)madvise(range, bytes, MADV_DONTDUMP); /* a dump would touch every page of it */
    punches = can_punch(range);
    *(char *)range = 0;
    range_bytes = bytes;
    header = range;
    header->top = sizeof *header;
    shared_begin = range;
    shared_bytes = bytes;
    shared_alloc = weft_shared_alloc;
    shared_free = weft_shared_free;
    participants_open(&header->participants);
    return 0;
}

void shared_close(void)
{
    participants_open(NULL);
    shared_begin = NULL;
    shared_bytes = 0;
    munmap(header, range_bytes);
    header = NULL;
    range_bytes = 0;
}
