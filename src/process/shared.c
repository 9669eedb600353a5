/* SPDX-License-Identifier: MIT */
/*
 * process/shared.c: memory that all processes of the program see at the same address.
 *
 * weft_init() maps one range before the zygote is forked, so that every process inherits it where
 * it is. Behind it is a memfd: nothing is left behind when the last process is gone, and memory is
 * used only once it is touched. The range is 64 GiB of addresses, or less where limits say so.
 *
 *     | header | used, dirty | rooms | metas | units: slabs of small blocks, runs ...  |
 *       shared.c  units.c      slabs.c slabs.c
 *
 * Death may come between any two instructions of any process, so nothing here is ever locked: each
 * step that others see is one atomic operation on one word, and who dies between two of them takes
 * what he was working on with him and harms nobody. All that is known of a block lies in the
 * tables, none of it in the block or beside it, where a stray write would reach it.
 *
 * A block of up to 8 KiB is cut from a slab (slabs.c), a larger one is a run of units of 4 KiB
 * (units.c). Both come from the same units and go back to them, so memory that was used for one
 * size serves any other, and neighbours that are free are one run again at once.
 *
 * What the limits of the system do:
 *
 *   RLIMIT_AS      the range is at most a quarter of it: the rest is the program's
 *   RLIMIT_FSIZE   so it is with this one, since a memfd is a file; below 4 MiB, a mapping without
 *                  a file takes its place, which the limit does not concern
 *   mlockall()     what the program locks in memory from now on does not include the range
 *   strict overcommit (vm.overcommit_memory = 2): a page is charged when it is touched, and whoever
 *                  is refused one dies of SIGBUS. So the range is at most a quarter of what may
 *                  still be committed, and pages are charged when memory is given out
 *                  (MADV_POPULATE_WRITE, Linux 5.14): there is NULL instead of a death
 *   valgrind       looks at all that is mapped, when it is, at each fork, and when it searches for
 *                  leaks, which fills it: the range is 256 MiB
 *   otherwise      the system promises more than it has; when it has no page left, it kills a
 *                  process (the OOM killer, of a cgroup too), which no allocator can turn into NULL
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weft/program.h>

#include "base/atomic.h"
#include "base/participants.h"
#include "base/shared_range.h"
#include "base/valgrind.h"
#include "process/descriptors.h"
#include "process/process.h"
#include "process/shared.h"
#include "process/slabs.h"
#include "process/zygote.h"

#define RANGE_BYTES_MAX (UNDER_VALGRIND ? (size_t)256 << 20 : (size_t)64 << 30)
#define RANGE_BYTES_MIN ((size_t)1 << 20)
#define BYTES_MAX       ((size_t)1 << 30)
#define KEPT_BYTES_MAX  ((size_t)64 << 20) /* in blocks that are free */
#define LINE            ((size_t)64)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* At the beginning of the range. */
struct header {
    struct units_shared units;
    struct slabs_shared slabs;
    struct participants participants;
};

static struct header *header; /* constant after weft_init() */
static size_t range_bytes;    /* likewise */
static int range_fd = -1;     /* likewise; kept for processes that run the program again */

/* ---- blocks */

static void *take_run(size_t bytes, bool zeroed)
{
    size_t n = (bytes + UNIT_BYTES - 1) / UNIT_BYTES, unit = slabs_take_units(n, 1, zeroed);
    if (unit == NO_UNIT)
        return NULL;
    store_release(&slabs.metas[unit], meta_of(META_RUN, n)); /* release: with give()'s acquire */
    return units_memory(unit);
}

/* Takes back what begins at an address. False: nothing does. */
static bool give(const void *memory)
{
    size_t offset = (size_t)((const char *)memory - units.memory), unit = offset / UNIT_BYTES;
    uint64_t meta = load_acquire(&slabs.metas[unit]); /* acquire: pairs with take_run() */
    if (meta_what(meta) == META_TAIL)
        return slabs_give(unit - meta_bits(meta), memory);
    if (meta_what(meta) != META_RUN)
        return slabs_give(unit, memory);
    if (offset % UNIT_BYTES || !cas_relaxed(&slabs.metas[unit], &meta, 0)) /* relaxed: one wins */
        return false;
    units_give(unit, meta_bits(meta));
    return true;
}

void *shared_alloc_dirty(size_t bytes)
{
    if (!header || bytes == 0 || bytes > BYTES_MAX || zygote_is_strange())
        return NULL;
    return bytes <= SLAB_BLOCK_MAX ? slabs_take(bytes) : take_run(bytes, false);
}

void *weft_shared_alloc(size_t bytes)
{
    if (!header || bytes == 0 || bytes > BYTES_MAX || zygote_is_strange())
        return NULL;
    if (bytes > SLAB_BLOCK_MAX)
        return take_run(bytes, true);
    void *block = slabs_take(bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

void weft_shared_free(void *memory)
{
    if (!memory || zygote_is_strange())
        return; /* in a fork of the user's own it is not this process's to free */
    bool ours = process_sees_memory(memory) && give(memory);
    assert(ours && "weft_shared_free: freed before, or not from weft_shared_alloc()");
    (void)ours;
}

size_t shared_block_bytes(const void *memory)
{
    if (!memory || !process_sees_memory(memory))
        return 0;
    size_t offset = (size_t)((const char *)memory - units.memory), unit = offset / UNIT_BYTES;
    uint64_t meta = load_acquire(&slabs.metas[unit]); /* acquire: pairs with take_run() */
    if (meta_what(meta) == META_TAIL)
        return slabs_block_bytes(unit - meta_bits(meta), memory);
    if (meta_what(meta) != META_RUN)
        return slabs_block_bytes(unit, memory);
    return offset % UNIT_BYTES ? 0 : meta_bits(meta) * UNIT_BYTES;
}

bool process_sees_memory(const void *address)
{
    uintptr_t offset = (uintptr_t)address - (uintptr_t)units.memory;
    return !address || (header && offset < units.count * UNIT_BYTES);
}

/* ---- limits */

static size_t at_most(size_t bytes, uint64_t limit)
{
    while (bytes > RANGE_BYTES_MIN && bytes > limit)
        bytes /= 2;
    return bytes;
}

static uint64_t soft_limit(int which)
{
    struct rlimit limit;
    return getrlimit(which, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX
                                                                           : limit.rlim_cur;
}

/* A number in a file, behind a word at the beginning of a line ("": at the beginning); or -1. */
static long long number_in(const char *path, const char *word)
{
    char line[128];
    long long number = -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (number < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, word, strlen(word)) == 0)
            number = strtoll(line + strlen(word), NULL, 10);
    fclose(file);
    return number;
}

static bool overcommit_is_strict(void)
{
    return number_in("/proc/sys/vm/overcommit_memory", "") == 2;
}

/* How many bytes may still be committed where overcommit is strict. */
static uint64_t commitment_left(void)
{
    long long most = number_in("/proc/meminfo", "CommitLimit:");
    long long now = number_in("/proc/meminfo", "Committed_AS:");
    return most < 0 || now < 0 || now > most ? 0 : (uint64_t)(most - now) << 10;
}

static size_t bytes_wanted(bool strict)
{
    size_t bytes = at_most(RANGE_BYTES_MAX, soft_limit(RLIMIT_AS) / 4);
    if (soft_limit(RLIMIT_FSIZE) / 4 >= RANGE_BYTES_MIN)
        bytes = at_most(bytes, soft_limit(RLIMIT_FSIZE) / 4);
    return strict ? at_most(bytes, commitment_left() / 4) : bytes;
}

/* ---- the range */

/*
 * Where the range should lie: where no system puts anything by itself, so that the place is free as
 * well in a process that runs the program again, whose other addresses are drawn anew. (Programs
 * and their heaps lie below 16 TiB or from 85 TiB on, libraries and stacks just below 128 TiB or
 * more, AddressSanitizer's shadow below 33 TiB.) It is only a wish: with fewer addresses, or where
 * another sanitizer forbids it, the kernel chooses.
 */
static void *place_wanted(void)
{
    uint64_t begin = UINT64_C(48) << 40, random = 0;
    (void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
    return (void *)(uintptr_t)(begin + (random % 16384 << 30));
}

/*
 * Maps addresses first, without access, so that nothing is touched if mlockall() wants to.
 * Valgrind, though, looks at each byte that mprotect() makes accessible.
 */
static void *map_bytes(int fd, size_t bytes)
{
    int flags = MAP_SHARED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0);
    int access = PROT_READ | PROT_WRITE;
    void *range = mmap(place_wanted(), bytes, UNDER_VALGRIND ? access : PROT_NONE, flags, fd, 0);
    if (range == MAP_FAILED)
        return NULL;
    if (UNDER_VALGRIND || (munlock(range, bytes) == 0 && mprotect(range, bytes, access) == 0))
        return range;
    munmap(range, bytes);
    return NULL;
}

/* Where the tables and the units lie in a range, which is zero. */
static void lay_out(char *range, size_t bytes)
{
    size_t words = (bytes / UNIT_BYTES + 63) / 64, page = (size_t)sysconf(_SC_PAGESIZE);
    struct header *head = (struct header *)range;
    uint64_t *tables = (uint64_t *)(range + ((sizeof *head + LINE - 1) & ~(LINE - 1)));
    units.shared = &head->units;
    units.used = tables;
    units.dirty = units.used + words;
    units.words = words;
    slabs.shared = &head->slabs;
    slabs.rooms = units.dirty + words;
    slabs.metas = slabs.rooms + SLAB_CLASSES * words;
    uintptr_t end = (uintptr_t)(slabs.metas + words * 64);
    units.memory = (char *)((end + page - 1) & ~(uintptr_t)(page - 1));
    units.count = (size_t)(range + bytes - units.memory) / UNIT_BYTES;
    units.page_bytes = page;
    units.kept_max = (bytes / 4 < KEPT_BYTES_MAX ? bytes / 4 : KEPT_BYTES_MAX) / UNIT_BYTES;
}

/* Whether MADV_REMOVE does what it says. QEMU's user mode answers every madvise() with success, and
 * carries out few. */
static bool can_punch(void)
{
    *units.memory = 1;
    bool can = madvise(units.memory, units.page_bytes, MADV_REMOVE) == 0 && *units.memory == 0;
    *units.memory = 0;
    return can;
}

/* Maps a range of a size, and with strict overcommit has its tables charged. */
static bool open_range(int fd, size_t bytes, bool strict)
{
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) < 0)
        return false;
    char *range = map_bytes(fd, bytes);
    if (!range)
        return false;
    (void)madvise(range, bytes, MADV_DONTDUMP); /* a dump would touch every page of it */
    lay_out(range, bytes);
    size_t tables = (size_t)(units.memory - range);
    int rc = strict ? madvise(range, tables, MADV_POPULATE_WRITE) : 0;
    if (rc < 0 && errno != EINVAL) { /* EINVAL: before Linux 5.14 */
        munmap(range, bytes);
        return false;
    }
    units.reserves = strict && rc == 0;
    units.punches = can_punch();
    range_bytes = bytes;
    header = (struct header *)range;
    return true;
}

int shared_open(void)
{
    bool has_file = soft_limit(RLIMIT_FSIZE) / 4 >= RANGE_BYTES_MIN;
    bool strict = overcommit_is_strict();
    int fd = has_file ? memfd_create("weft-shared", MFD_CLOEXEC) : -1;
    if (has_file && fd < 0)
        return -errno;
    fd = descriptors_raise(fd);
    if (has_file && fd < 0)
        return fd;
    size_t bytes = bytes_wanted(strict);
    while (!open_range(fd, bytes, strict) && bytes > RANGE_BYTES_MIN)
        bytes /= 2;
    if (!header) {
        descriptors_close(fd);
        return -ENOMEM;
    }
    range_fd = fd;
    shared_begin = (char *)header;
    shared_bytes = range_bytes;
    shared_alloc = weft_shared_alloc;
    shared_free = weft_shared_free;
    participants_open(&header->participants);
    return 0;
}

struct shared_place shared_place(void)
{
    return (struct shared_place){ range_fd,      header,         range_bytes,
                                  units.punches, units.reserves, participant_self };
}

int shared_adopt(const struct shared_place *place)
{
    int flags = MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *range = mmap(place->address, place->bytes, PROT_READ | PROT_WRITE, flags, place->fd, 0);
    if (range == MAP_FAILED)
        return -errno;
    (void)madvise(range, place->bytes, MADV_DONTDUMP);
    lay_out(range, place->bytes);
    units.punches = place->punches;
    units.reserves = place->reserves;
    range_fd = place->fd;
    range_bytes = place->bytes;
    header = range;
    shared_begin = range;
    shared_bytes = place->bytes;
    shared_alloc = weft_shared_alloc;
    shared_free = weft_shared_free;
    participants_adopt(&header->participants, place->participant);
    return 0;
}

void shared_close(void)
{
    descriptors_close(range_fd);
    range_fd = -1;
    participants_open(NULL);
    shared_begin = NULL;
    shared_bytes = 0;
    munmap(header, range_bytes);
    header = NULL;
    range_bytes = 0;
}
