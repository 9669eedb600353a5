/* SPDX-License-Identifier: MIT */
/* sync/shared_barrier.h: barriers in shared memory: what weft_barrier_*() does with them. */
#ifndef WEFT_SYNC_SHARED_BARRIER_H
#define WEFT_SYNC_SHARED_BARRIER_H

#include <weft/barrier.h>

/* As the functions of weft/barrier.h; there are parties. */
int shared_barrier_wait(weft_barrier *barrier, weft_deadline deadline);
void shared_barrier_abort(weft_barrier *barrier);
void shared_barrier_reset(weft_barrier *barrier);

#endif
