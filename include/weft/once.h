/* SPDX-License-Identifier: MIT */
/*
 * weft/once.h: something that is done by whoever comes first, and by nobody again.
 *
 *     static weft_once loaded = WEFT_ONCE_INIT;
 *     rc = weft_once_run(&loaded, load_table, &table);
 *
 * Valid when zeroed, nothing to destroy. What fn did happens before every return of 0. In shared
 * memory (weft_shared_alloc) one process does it for all; if it dies in the middle, the next that
 * comes or waits does it again, from the beginning.
 */
#ifndef WEFT_ONCE_H
#define WEFT_ONCE_H

#include <weft/base.h>

WEFT_BEGIN

typedef struct weft_once {
    uint32_t word; /* private */
} weft_once;

#define WEFT_ONCE_INIT                                                                             \
    {                                                                                              \
        0                                                                                          \
    }

/*
 * Runs fn(ctx), unless that has been done; waits while another strand does it.
 * Returns  0: done, by whomever; fn's negative value: fn failed in this call, and the next caller
 *          (or one that waits) tries again; -ECANCELED, -ETIMEDOUT (a scope): the wait ended;
 *          -EDEADLK: called by fn itself, or by what fn called.
 * Blocks   while another strand runs fn.
 */
int weft_once_run(weft_once *once, int (*fn)(void *ctx), void *ctx) WEFT_USE;

WEFT_END
#endif
