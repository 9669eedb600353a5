/* SPDX-License-Identifier: MIT */
/*
 * task/stack.c: stacks from slabs.
 *
 * A slab is one mapping of SLOTS stacks of one size (a power of two). Its stacks are made when they
 * are first wanted: that installs the guard and touches the top page. Those given back are kept in
 * the slab's list, the last one first, and are used again before another is made. A slab of which
 * no stack is in use is unmapped, unless there are only UNUSED_MAX of them.
 *
 * A worker keeps up to CACHED free stacks of the default size in a list of its own, without a lock;
 * they go to the slabs and come from there BATCH at a time. A stack that goes back to its slab and
 * has a page in memory that is further than DEEP_BYTES below its top is trimmed: all its pages but
 * the top one are returned to the system.
 *
 * Guards are the lowest GUARD_BYTES of a stack (an eighth of small ones). Three ways, found by
 * trying, forced by WEFT_GUARDS:
 *
 *   madvise   MADV_GUARD_INSTALL, Linux 6.13: marks in the page table, which a stack's first page
 *             needs anyway; no further mapping however many stacks there are
 *   mprotect  splits the mapping in two for each stack, so vm.max_map_count (65530 unless changed)
 *             allows about 32000 stacks; the next one fails
 *   none      only if asked for: an overflow runs into the stack below
 *
 * The tops of stacks lie at different places within their pages (COLOURS of them), so that the
 * records of many tasks do not all fight for the same lines of a cache.
 *
 * `guard` guards everything but the caches. It is never held while a task is switched.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/futex.h"
#include "base/list.h"
#include "task/annotate.h"
#include "task/stack.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
    SLOTS = 64,
    GUARD_BYTES = 64 * 1024,
    CACHED = 128,
    BATCH = 64,
    UNUSED_MAX = 2,
    DEEP_BYTES = 16 * 1024,
    COLOURS = 4,
    COLOUR_BYTES = 192,
    SIZES = 16, /* STACK_BYTES_MIN << 15 is STACK_BYTES_MAX */
};

struct slab {
    struct list link;  /* guarded: in its size's list if it has free stacks, else alone */
    struct list all;   /* guarded */
    struct size *size; /* constant, as is base and slots */
    char *base;
    unsigned slots;
    unsigned made;      /* guarded, as is the rest: how many of its stacks exist */
    unsigned used;      /* of those, how many are in use or in a cache */
    struct stack *free; /* the others */
};

/* All slabs whose stacks are equally big. */
struct size {
    size_t bytes;
    struct list roomy;   /* slabs with free stacks */
    struct slab *newest; /* the only one with stacks that were never made; NULL: none */
    unsigned unused;     /* slabs with no stack in use */
};

enum guards { GUARDS_UNKNOWN, GUARDS_MADVISE, GUARDS_MPROTECT, GUARDS_NONE };

static struct guard guard;
static struct size sizes[SIZES];
static struct list slabs = LIST_INIT(slabs);
static enum guards guards;

static size_t page_bytes;

static size_t guard_bytes(size_t bytes)
{
    size_t part = bytes / 8 < GUARD_BYTES ? bytes / 8 : GUARD_BYTES;
    return part < page_bytes ? page_bytes : part;
}

/* What WEFT_GUARDS asks for, or to be tried first. GUARDS_UNKNOWN: it asks for nonsense. */
static enum guards wanted_guards(void)
{
    static const char *const names[] = {
        [GUARDS_MADVISE] = "madvise", [GUARDS_MPROTECT] = "mprotect", [GUARDS_NONE] = "none"
    };
    const char *wish = getenv("WEFT_GUARDS");
    for (int i = GUARDS_MADVISE; wish && i <= GUARDS_NONE; i++)
        if (strcmp(wish, names[i]) == 0)
            return (enum guards)i;
    return wish ? GUARDS_UNKNOWN : GUARDS_MADVISE;
}

int stack_prepare(void)
{
    guard_lock(&guard);
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    if (!guards)
        guards = wanted_guards();
    bool known = guards;
    guard_unlock(&guard);
    return known ? 0 : -EINVAL;
}

/* Whether the system cannot read a word of memory that nobody has written to. */
static bool is_guarded(const char *base)
{
    /* It would compare the word with 1, and not wait as that differs from 0. */
    return syscall(SYS_futex, base, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0) < 0 && errno == EFAULT;
}

/* Returns 0 or -errno. Under the lock. */
static int install_guard(char *base, size_t bytes)
{
    static bool proven; /* QEMU's user mode answers every madvise() with success */
    if (guards == GUARDS_MADVISE) {
        int error = madvise(base, bytes, MADV_GUARD_INSTALL) == 0 ? 0 : errno;
        proven = proven || (!error && is_guarded(base));
        if (!error && proven)
            return 0;
        if (error && error != EINVAL)
            return -error;
        guards = GUARDS_MPROTECT; /* the kernel is older */
    }
    if (guards == GUARDS_MPROTECT && mprotect(base, bytes, PROT_NONE) != 0)
        return -errno;
    return 0;
}

/* Fewer stacks if there is not enough address space for all. NULL: not even for one. */
static char *map(size_t bytes, unsigned *ret_slots)
{
    for (unsigned slots = SLOTS; slots; slots /= 8) {
        void *base = mmap(NULL, slots * bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (base == MAP_FAILED)
            continue;
        (void)madvise(base, slots * bytes, MADV_NOHUGEPAGE);
        *ret_slots = slots;
        return base;
    }
    return NULL;
}

/* Under the lock, as are all that follow until the next comment that says otherwise. */
static struct slab *slab_open(struct size *size)
{
    struct slab *slab = malloc(sizeof *slab);
    if (!slab)
        return NULL;
    *slab = (struct slab){ .size = size };
    slab->base = map(size->bytes, &slab->slots);
    if (!slab->base) {
        free(slab);
        return NULL;
    }
    list_init(&slab->link);
    list_push_back(&slabs, &slab->all);
    size->unused++;
    return slab;
}

static struct stack *nth_stack(const struct slab *slab, unsigned i)
{
    char *top = slab->base + (i + 1) * slab->size->bytes - i % COLOURS * COLOUR_BYTES;
    return (struct stack *)(top - sizeof(struct stack));
}

static void slab_close(struct slab *slab)
{
    for (unsigned i = 0; i < slab->made && ANNOTATE_STACKS; i++)
        annotate_no_stack(nth_stack(slab, i)->low, nth_stack(slab, i),
                          nth_stack(slab, i)->valgrind);
    list_remove(&slab->all);
    list_remove(&slab->link);
    slab->size->unused--;
    if (slab->size->newest == slab)
        slab->size->newest = NULL;
    munmap(slab->base, slab->slots * slab->size->bytes);
    free(slab);
}

/* The slab's next stack, which has never been used. NULL: no guard could be made. */
static struct stack *make_stack(struct slab *slab)
{
    size_t bytes = slab->size->bytes;
    char *base = slab->base + slab->made * bytes;
    if (install_guard(base, guard_bytes(bytes)) < 0)
        return NULL;
    struct stack *stack = nth_stack(slab, slab->made);
    *stack = (struct stack){ .slab = slab, .low = base + guard_bytes(bytes) };
    stack->valgrind = annotate_stack(stack->low, stack);
    slab->made++;
    return stack;
}

/* A stack that has been used before. NULL: none is free. */
static struct stack *take_free(struct size *size)
{
    if (list_empty(&size->roomy))
        return NULL;
    struct slab *slab =
        CONTAINER(size->roomy.prev, struct slab, link); /* the last is the hottest */
    struct stack *stack = slab->free;
    slab->free = stack->next;
    if (!slab->free)
        list_remove(&slab->link);
    if (slab->used++ == 0)
        size->unused--;
    return stack;
}

/* A stack that never was. NULL: no memory. */
static struct stack *take_new(struct size *size)
{
    struct slab *slab = size->newest;
    if (!slab || slab->made == slab->slots)
        slab = size->newest = slab_open(size);
    struct stack *stack = slab ? make_stack(slab) : NULL;
    if (stack && slab->used++ == 0)
        size->unused--;
    return stack;
}

static void slab_give(struct stack *stack)
{
    struct slab *slab = stack->slab;
    if (list_empty(&slab->link))
        list_push_back(&slab->size->roomy, &slab->link);
    stack->next = slab->free;
    slab->free = stack;
    if (--slab->used)
        return;
    slab->size->unused++;
    if (slab->size->unused > UNUSED_MAX)
        slab_close(slab);
}

/* NULL: too big. */
static struct size *size_of(size_t bytes)
{
    unsigned i = 0;
    if (!bytes)
        bytes = STACK_BYTES_DEFAULT;
    if (bytes < 4 * page_bytes)
        bytes = 4 * page_bytes;
    while (i < SIZES - 1 && ((size_t)STACK_BYTES_MIN << i) < bytes)
        i++;
    struct size *size = &sizes[i];
    if (!size->bytes) {
        size->bytes = (size_t)STACK_BYTES_MIN << i;
        list_init(&size->roomy);
    }
    return size->bytes < bytes ? NULL : size;
}

/* Fills a cache with stacks that have been used before; does not make any. */
static void refill(struct stack_cache *cache, struct size *size)
{
    for (struct stack *stack; cache->count < BATCH && (stack = take_free(size));) {
        stack->next = cache->free;
        cache->free = stack;
        cache->count++;
    }
}

/* Whether any page of a stack up to that end is in memory. One of many pages counts as such. */
static bool is_deep(char *low, const char *end)
{
    unsigned char pages[128];
    size_t n = (size_t)(end - low) / page_bytes;
    if (n > sizeof pages || mincore(low, n * page_bytes, pages) != 0)
        return true;
    unsigned char any = 0;
    for (size_t i = 0; i < n; i++)
        any |= pages[i];
    return any & 1;
}

/* Returns the pages of a deep stack, all but its top one, to the system. Without the lock. */
static void trim(struct stack *stack)
{
    char *end = (char *)((uintptr_t)stack & ~(page_bytes - 1));
    if (is_deep(stack->low, end - DEEP_BYTES))
        (void)madvise(stack->low, (size_t)(end - stack->low), MADV_DONTNEED);
}

/* Gives back what a cache has too much, the coldest. Without the lock. */
static void drain(struct stack_cache *cache)
{
    struct stack *last = cache->free;
    for (unsigned kept = 1; kept < CACHED - BATCH; kept++)
        last = last->next;
    struct stack *cold = last->next;
    last->next = NULL;
    cache->count = CACHED - BATCH;
    for (struct stack *stack = cold; stack; stack = stack->next)
        trim(stack);
    guard_lock(&guard);
    while (cold) {
        struct stack *stack = cold;
        cold = stack->next;
        slab_give(stack);
    }
    guard_unlock(&guard);
}

struct stack *stack_take(struct stack_cache *cache, size_t bytes)
{
    bool cached = cache && (!bytes || bytes == STACK_BYTES_DEFAULT);
    struct stack *stack = cached ? cache->free : NULL;
    if (!stack) {
        guard_lock(&guard);
        struct size *size = size_of(bytes);
        stack = size ? take_free(size) : NULL;
        if (!stack && size)
            stack = take_new(size);
        if (stack && cached)
            refill(cache, size);
        guard_unlock(&guard);
        return stack;
    }
    cache->free = stack->next;
    cache->count--;
    return stack;
}

void stack_give(struct stack_cache *cache, struct stack *stack)
{
    if (cache && stack->slab->size->bytes == STACK_BYTES_DEFAULT) {
        stack->next = cache->free;
        cache->free = stack;
        if (++cache->count > CACHED)
            drain(cache);
        return;
    }
    trim(stack);
    guard_lock(&guard);
    slab_give(stack);
    guard_unlock(&guard);
}

bool stack_guards(const struct stack *stack, const void *address)
{
    const char *at = address;
    return at < stack->low && at >= stack->low - guard_bytes(stack->slab->size->bytes);
}

void stack_each(bool (*fn)(struct stack *stack, void *ctx), void *ctx)
{
    bool more = true;
    guard_lock(&guard);
    for (struct list *it = slabs.next; more && it != &slabs; it = it->next) {
        struct slab *slab = CONTAINER(it, struct slab, all);
        for (unsigned i = 0; more && i < slab->made; i++)
            more = fn(nth_stack(slab, i), ctx);
    }
    guard_unlock(&guard);
}
