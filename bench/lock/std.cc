/* SPDX-License-Identifier: MIT */
/* The lock benchmark with C++'s std::mutex. */
#include <mutex>

#define MUTEX_INIT                                                                                 \
    {                                                                                              \
    }
typedef std::mutex mutex_type;

static inline void mutex_take(mutex_type *mutex)
{
    mutex->lock();
}

static inline void mutex_give(mutex_type *mutex)
{
    mutex->unlock();
}

#include "lock/body.h"
