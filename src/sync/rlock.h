/* SPDX-License-Identifier: MIT */
/* sync/rlock.h: giving an rlock up completely and taking it back, for conditions. */
#ifndef WEFT_SYNC_RLOCK_H
#define WEFT_SYNC_RLOCK_H

#include <weft/rlock.h>

/* By the owner: releases it whatever its depth, which is returned. */
uint32_t rlock_release_all(weft_rlock *rlock);

/* Takes it, whatever it takes, to that depth. Returns as lock_take_again(). */
int rlock_take_all(weft_rlock *rlock, uint32_t depth);

#endif
