/* SPDX-License-Identifier: MIT */
/* sync/shared_condition.h: conditions in shared memory: what weft_condition_*() does with them. */
#ifndef WEFT_SYNC_SHARED_CONDITION_H
#define WEFT_SYNC_SHARED_CONDITION_H

#include <weft/condition.h>

/*
 * Waits for a notify; release(ctx) gives the caller's lock up once the wait has begun.
 * Returns  0: notified, or a process has died; -ETIMEDOUT, -ECANCELED: not notified; -ENOMEM: as
 *          well, and release was not called.
 */
int shared_condition_wait(weft_condition *condition, void (*release)(void *ctx), void *ctx,
                          weft_deadline deadline);

void shared_condition_notify(weft_condition *condition, uint32_t n);

#endif
