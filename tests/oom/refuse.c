/* SPDX-License-Identifier: MIT */
/* Leads the library's requests through functions that refuse one of them (refuse.h). */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kinds.h"
#include "refuse.h"
#include "strands.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **ret, size_t alignment, size_t size);
void __real_free(void *memory);
char *__real_strdup(const char *text);
ssize_t __real___getdelim(char **line, size_t *size, int end, FILE *file);
int __real_eventfd(unsigned value, int flags);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret, size_t alignment, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
ssize_t __wrap_getline(char **line, size_t *size, FILE *file);
ssize_t __wrap___getdelim(char **line, size_t *size, int end, FILE *file);
int __wrap_eventfd(unsigned value, int flags);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg);

/* The request that is refused counts down from 1; 0 and less: none. */
static atomic_long countdown[3];
static atomic_long *refused; /* shared with forks, which count down for themselves */
static atomic_long live;     /* allocations that have not been freed */

__attribute__((constructor)) static void share(void)
{
    refused =
        mmap(NULL, sizeof *refused, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (refused == MAP_FAILED)
        abort();
}

static bool refuse(enum resource resource)
{
    bool now =
        atomic_load(&countdown[resource]) > 0 && atomic_fetch_sub(&countdown[resource], 1) == 1;
    if (now)
        atomic_fetch_add(refused, 1);
    return now;
}

static void *counted(void *memory)
{
    if (memory)
        atomic_fetch_add(&live, 1);
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return refuse(MEMORY) ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuse(MEMORY) ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (refuse(MEMORY))
        return NULL;
    void *moved = __real_realloc(memory, size);
    return memory ? moved : counted(moved);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return refuse(MEMORY) ? NULL : counted(__real_aligned_alloc(alignment, size));
}

int __wrap_posix_memalign(void **ret, size_t alignment, size_t size)
{
    int rc = refuse(MEMORY) ? ENOMEM : __real_posix_memalign(ret, alignment, size);
    if (rc == 0)
        atomic_fetch_add(&live, 1);
    return rc;
}

void __wrap_free(void *memory)
{
    if (memory)
        atomic_fetch_sub(&live, 1);
    __real_free(memory);
}

char *__wrap_strdup(const char *text)
{
    return refuse(MEMORY) ? NULL : counted(__real_strdup(text));
}

/* What these allocate is freed by who called them. */
ssize_t __wrap_getline(char **line, size_t *size, FILE *file)
{
    return __wrap___getdelim(line, size, '\n', file);
}

ssize_t __wrap___getdelim(char **line, size_t *size, int end, FILE *file)
{
    bool had = *line;
    ssize_t n = __real___getdelim(line, size, end, file);
    if (!had)
        (void)counted(*line);
    return n;
}

int __wrap_eventfd(unsigned value, int flags)
{
    if (!refuse(DESCRIPTORS))
        return __real_eventfd(value, flags);
    errno = EMFILE;
    return -1;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg)
{
    return refuse(THREADS) ? EAGAIN : __real_pthread_create(thread, attributes, start, arg);
}

/* ---- the proof */

/*
 * With tasks, the worker may still be on its way out of the last call, of which it frees a part:
 * what is live comes down to what it was before, or below, if that was seen as early.
 */
static void settle(weft_kind kind, long *before)
{
    if (kind != WEFT_TASKS)
        return;
    UNTIL(atomic_load(&live) <= *before);
    *before = atomic_load(&live);
}

/* One worker, whose caches can be filled; before a test starts the workers of its kind. */
__attribute__((constructor)) static void want_one_worker(void)
{
    setenv("WEFT_WORKERS", "1", 1);
}

/* A worker keeps stacks, which are from slabs; that it has all that it will keep. */
static void fill_caches(int (*operation)(weft_kind kind), weft_kind kind)
{
    for (int i = 0; kind == WEFT_TASKS && i < 200; i++)
        EXPECT_EQ(operation(kind), 0);
}

long refuse_each(int (*operation)(weft_kind kind), weft_kind kind, enum resource resource,
                 int error)
{
    EXPECT_EQ(operation(kind), 0); /* makes what is made once per process */
    fill_caches(operation, kind);
    long before = atomic_load(&live);
    EXPECT_EQ(operation(kind), 0);
    settle(kind, &before);
    EXPECT_LE(atomic_load(&live), before);
    for (long nth = 1;; nth++) {
        EXPECT_LT(nth, 1000);
        atomic_store(refused, 0);
        atomic_store(&countdown[resource], nth);
        int rc = operation(kind);
        atomic_store(&countdown[resource], 0);
        if (rc != 0)
            EXPECT_EQ(rc, error);
        settle(kind, &before);
        if (atomic_load(&live) > before)
            FAIL("when request %ld is refused, %ld allocations stay", nth,
                 atomic_load(&live) - before);
        EXPECT_EQ(operation(kind), 0); /* it works again */
        if (!atomic_load(refused)) {
            EXPECT_EQ(rc, 0);
            return nth - 1;
        }
    }
}

void refuse_nth(enum resource resource, long nth)
{
    atomic_store(refused, 0);
    atomic_store(&countdown[resource], nth);
}

long refused_since(void)
{
    return atomic_load(refused);
}
