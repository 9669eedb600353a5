/* SPDX-License-Identifier: MIT */
/* The lock benchmark with a pthread mutex of the default type. */
#include <pthread.h>
#include <stdalign.h>

#define MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
typedef pthread_mutex_t mutex_type;

static inline void mutex_take(mutex_type *mutex)
{
    pthread_mutex_lock(mutex);
}

static inline void mutex_give(mutex_type *mutex)
{
    pthread_mutex_unlock(mutex);
}

#include "lock/body.h"
