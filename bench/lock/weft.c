/* SPDX-License-Identifier: MIT */
/* The lock benchmark with weft_lock. */
#include <stdalign.h>

#include <weft.h>

#define MUTEX_INIT WEFT_LOCK_INIT
typedef weft_lock mutex_type;

static inline void mutex_take(mutex_type *mutex)
{
    weft_lock_lock(mutex);
}

static inline void mutex_give(mutex_type *mutex)
{
    weft_lock_release(mutex);
}

#include "lock/body.h"
