/* SPDX-License-Identifier: MIT */
/*
 * What stacks cost that a parked task cannot do without: N of them from slabs, each of 256 KiB with
 * a guard of 64 KiB at its bottom and its highest page touched; then all are given back. Nothing
 * runs on them. A slab knows the one before it by a word in its first stack's highest page.
 */
#include "harness/harness.h"

#include <stdio.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

enum { STACK_BYTES = 256 * 1024, GUARD_BYTES = 64 * 1024, SLAB_STACKS = 64, WORD_BYTES = 8 };

static char *new_slab(void)
{
    char *slab = mmap(NULL, (size_t)SLAB_STACKS * STACK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bench_must(slab != MAP_FAILED, "mmap");
    madvise(slab, (size_t)SLAB_STACKS * STACK_BYTES, MADV_NOHUGEPAGE); /* no such pages: as well */
    return slab;
}

static volatile uintptr_t *last_word(char *stack)
{
    return (volatile uintptr_t *)(void *)(stack + STACK_BYTES - WORD_BYTES);
}

int main(int argc, char **argv)
{
    unsigned long n = bench_argument(argc, argv, 1, "N");
    char *slab = NULL, *before = NULL;
    uint64_t held = bench_memory_bytes(), began = bench_now();
    for (unsigned long i = 0; i < n; i++) {
        if (i % SLAB_STACKS == 0) {
            before = slab;
            slab = new_slab();
        }
        char *stack = slab + i % SLAB_STACKS * STACK_BYTES;
        bench_must(madvise(stack, GUARD_BYTES, MADV_GUARD_INSTALL) == 0, "MADV_GUARD_INSTALL");
        *last_word(stack) = (uintptr_t)(i % SLAB_STACKS ? slab : before);
    }
    uint64_t start_ns = bench_now() - began, bytes = bench_memory_bytes() - held;
    began = bench_now();
    while (slab) {
        before = (char *)*last_word(slab);
        munmap(slab, (size_t)SLAB_STACKS * STACK_BYTES);
        slab = before;
    }
    uint64_t end_ns = bench_now() - began;
    printf("{\"ns\": %.1f, \"start_ns\": %.1f, \"bytes\": %.0f}\n",
           (double)(start_ns + end_ns) / (double)n, (double)start_ns / (double)n,
           (double)bytes / (double)n);
    return 0;
}
