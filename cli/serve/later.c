/* SPDX-License-Identifier: MIT */
/* Waiting without a thread per waiter.
 *
 * A connection that is to be answered later is suspended, which takes it out of libmicrohttpd's
 * loop, and entered in a binary heap by time; the server's loop sleeps until the soonest and
 * resumes what is due. A suspended connection cannot end, so an entry's connection is always alive;
 * and it is entered at most once, so that room for every connection is reserved at the start and
 * adding cannot fail. */
#include "later.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int later_init(struct later *later, size_t capacity)
{
    *later = (struct later){ .heap = calloc(capacity, sizeof *later->heap), .capacity = capacity };
    return later->heap != NULL ? 0 : -ENOMEM;
}

void later_deinit(struct later *later)
{
    free(later->heap);
    *later = (struct later){ 0 };
}

void later_add(struct later *later, struct MHD_Connection *connection, int64_t delay_ns)
{
    struct later_entry entry = { now() + delay_ns, connection };
    size_t i = later->count++;

    assert(i < later->capacity);
    for (; i > 0 && later->heap[(i - 1) / 2].at_ns > entry.at_ns; i = (i - 1) / 2)
        later->heap[i] = later->heap[(i - 1) / 2];
    later->heap[i] = entry;
    MHD_suspend_connection(connection);
}

/* Takes the soonest out: the last entry sinks from the root to where it belongs. */
static struct MHD_Connection *pop(struct later *later)
{
    struct MHD_Connection *soonest = later->heap[0].connection;
    struct later_entry last = later->heap[--later->count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < later->count && later->heap[child + 1].at_ns < later->heap[child].at_ns)
            child++;
        if (child >= later->count || later->heap[child].at_ns >= last.at_ns)
            break;
        later->heap[i] = later->heap[child];
        i = child;
    }
    later->heap[i] = last;
    return soonest;
}

int64_t later_left(const struct later *later)
{
    if (later->count == 0)
        return -1;
    int64_t left = later->heap[0].at_ns - now();
    return left > 0 ? left : 0;
}

void later_resume(struct later *later)
{
    int64_t due = now();

    while (later->count > 0 && later->heap[0].at_ns <= due)
        MHD_resume_connection(pop(later));
}

void later_resume_all(struct later *later)
{
    while (later->count > 0)
        MHD_resume_connection(later->heap[--later->count].connection);
}
