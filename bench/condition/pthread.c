/* SPDX-License-Identifier: MIT */
/* The condition benchmark with pthread conditions. */
#include <pthread.h>

#define MUTEX_INIT     PTHREAD_MUTEX_INITIALIZER
#define CONDITION_INIT PTHREAD_COND_INITIALIZER
typedef pthread_mutex_t mutex_type;
typedef pthread_cond_t condition_type;

static inline void mutex_take(mutex_type *mutex)
{
    pthread_mutex_lock(mutex);
}

static inline void mutex_give(mutex_type *mutex)
{
    pthread_mutex_unlock(mutex);
}

static inline void condition_wait(condition_type *condition, mutex_type *mutex)
{
    pthread_cond_wait(condition, mutex);
}

static inline void condition_notify(condition_type *condition)
{
    pthread_cond_signal(condition);
}

#include "condition/body.h"
