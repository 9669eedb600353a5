/* SPDX-License-Identifier: MIT */
/* The condition benchmark with weft_condition. */
#include <weft.h>

#define MUTEX_INIT     WEFT_LOCK_INIT
#define CONDITION_INIT WEFT_CONDITION_INIT
typedef weft_lock mutex_type;
typedef weft_condition condition_type;

static inline void mutex_take(mutex_type *mutex)
{
    weft_lock_lock(mutex);
}

static inline void mutex_give(mutex_type *mutex)
{
    weft_lock_release(mutex);
}

static inline void condition_wait(condition_type *condition, mutex_type *mutex)
{
    if (weft_condition_wait(condition, mutex, WEFT_FOREVER) < 0)
        __builtin_trap();
}

static inline void condition_notify(condition_type *condition)
{
    weft_condition_notify(condition, 1);
}

#include "condition/body.h"
