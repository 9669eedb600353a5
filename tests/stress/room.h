/* SPDX-License-Identifier: MIT */
/* How much memory there is, and how much this process has: for tests that need much, and for those
   that look for growth. */
#ifndef ROOM_H
#define ROOM_H

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* mallinfo2() is glibc's, of 2.33. */
#ifdef __GLIBC__
#define ROOM_MALLINFO __GLIBC_PREREQ(2, 33)
#else
#define ROOM_MALLINFO 0
#endif

#include "harness.h"
#include "strands.h"
#include "task/stack.h"

/* A line of /proc/meminfo or /proc/self/status, in bytes; 0: there is none. */
static inline uint64_t room_of(const char *file, const char *name)
{
    char line[256];
    unsigned long long kib = 0;
    size_t n = strlen(name);
    FILE *f = fopen(file, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            (void)sscanf(line + n + 1, "%llu", &kib);
    if (f)
        fclose(f);
    return kib * 1024;
}

/* What can be had without swapping. */
static inline uint64_t room_free(void)
{
    return room_of("/proc/meminfo", "MemAvailable");
}

static inline bool room_count_stack(struct stack *stack, void *count)
{
    (void)stack;
    ++*(uint64_t *)count;
    return true;
}

/* What this process has been given and not returned. */
struct room {
    uint64_t heap;   /* in bytes; 0 where it cannot be known */
    uint64_t stacks; /* of tasks, in use or kept */
};

static inline struct room room_used(void)
{
    struct room used = { 0 };
    stack_each(room_count_stack, &used.stacks);
#if ROOM_MALLINFO
    struct mallinfo2 info = mallinfo2();
    used.heap = info.uordblks + info.hblkhd;
#endif
    return used;
}

static inline bool room_has_grown(struct room before)
{
    struct room now = room_used();
    return now.heap > before.heap + (512 << 10) || now.stacks > before.stacks + 2048;
}

/*
 * Ends the test if there is more than there was. What threads keep of freed memory, and workers of
 * stacks, comes and goes; what is lost each time in many thousand rounds exceeds that. Tasks that
 * were cancelled before they began are freed when a worker comes to them, so it is waited for that.
 */
static inline void room_expect_no_growth(struct room before)
{
    weft_deadline end = weft_after(10 * WEFT_S);
    while (room_has_grown(before) && weft_left(end) > 0)
        strands_yield();
    struct room now = room_used();
    EXPECT_LE(now.heap, before.heap + (512 << 10));
    EXPECT_LE(now.stacks, before.stacks + 2048);
}

#endif
