/* SPDX-License-Identifier: MIT */
/* task_engines.h: the engines of a worker of tasks (tasks.c): what they consist of, and how a task
 * comes by one. */
#ifndef WEFT_CURL_TASK_ENGINES_H
#define WEFT_CURL_TASK_ENGINES_H

#include "transfers.h"

#include <weft/lock.h>

/* look_ns, instead of a time: the leader is awake, and will look at everything before it sleeps. */
#define AWAKE INT64_MIN

/* Belongs to a thread: no other looks at it. */
struct engine {
    struct engine *next; /* of the same worker */
    CURLM *multi;
    int watched;           /* the epoll descriptor */
    int waker;             /* the eventfd, watched as well */
    weft_lock lock;        /* held by whoever is inside libcurl; guards what is below */
    int broken;            /* -errno; 0: it is not */
    int64_t due_ns;        /* when libcurl's timers want to be run; INT64_MAX: not */
    int64_t end_ns;        /* no transfer's deadline is earlier; all of them may be later */
    int64_t look_ns;       /* when the leader will look at both; AWAKE; INT64_MAX: nobody leads */
    size_t users;          /* calls that may still look at the engine */
    size_t most;           /* transfers at once in the present window */
    size_t most_before;    /* in the window before */
    int64_t window_ns;     /* when the present one ends */
    struct transfers flow; /* under way */
    struct transfer *leader;
};

/* Gives the worker's first engine that nobody is inside of, or a new one, with its lock held.
 * Returns 0; -ENOMEM; -EIO. */
int task_engine_take(struct engine **ret);

/* The caller, who has counted itself in (`users`), will not look at the engine again: the last to
 * leave a broken one closes it. */
void task_engine_give_back(struct engine *engine);

#endif
