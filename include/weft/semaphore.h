/* SPDX-License-Identifier: MIT */
/*
 * weft/semaphore.h: a number of permits; Python's Semaphore and BoundedSemaphore.
 *
 *     static weft_semaphore limit = WEFT_SEMAPHORE_INIT(20);      twenty at once
 *     if (weft_semaphore_acquire(&limit, WEFT_FOREVER) == 0) {
 *         download(url);
 *         weft_semaphore_release(&limit, 1);
 *     }
 *
 * Permits go to waiters in the order of their coming. Valid when zeroed (no permits, unbounded),
 * nothing to destroy. A release happens before the acquisition that it allows.
 *
 * In shared memory (weft_shared_alloc) it works between processes. There a permit that was released
 * is free until somebody takes it, and whoever runs may take it before one that has waited longer.
 * Permits that a process has taken and not released when it dies are gone; one that it was about to
 * take is not.
 */
#ifndef WEFT_SEMAPHORE_H
#define WEFT_SEMAPHORE_H

#include <weft/time.h>

WEFT_BEGIN

typedef struct weft_semaphore {
    uint32_t word, bound, reserved[2]; /* private */
} weft_semaphore;

/* The most permits there can be. */
#define WEFT_SEMAPHORE_MAX INT32_MAX

/* A constant number of permits, at most WEFT_SEMAPHORE_MAX, unbounded. */
#define WEFT_SEMAPHORE_INIT(permits)                                                               \
    {                                                                                              \
        (uint32_t)(permits), 0,                                                                    \
        {                                                                                          \
            0, 0                                                                                   \
        }                                                                                          \
    }

/*
 * Makes a semaphore of value permits. bound: more than that there can never be (releasing one too
 * many is an error); 0: no bound. Both are cut to WEFT_SEMAPHORE_MAX, and value to the bound.
 */
void weft_semaphore_init(weft_semaphore *semaphore, uint32_t value, uint32_t bound);

/*
 * Takes a permit.
 * Returns  0; -ETIMEDOUT (WEFT_NOW: none left); -ECANCELED.
 * Blocks   while there is none.
 */
int weft_semaphore_acquire(weft_semaphore *semaphore, weft_deadline deadline) WEFT_USE;

/*
 * Gives n permits; n of those that wait return with one each (in shared memory: or others come
 * first).
 * Returns  0; -EOVERFLOW: more than the bound (or WEFT_SEMAPHORE_MAX), nothing was given; -EINVAL:
 *          n is 0.
 */
int weft_semaphore_release(weft_semaphore *semaphore, uint32_t n);

/* How many permits are free, at some moment during the call. */
uint32_t weft_semaphore_value(const weft_semaphore *semaphore);

WEFT_END
#endif
