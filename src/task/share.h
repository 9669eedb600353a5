/* SPDX-License-Identifier: MIT */
/* task/share.h: unstarted tasks that no worker has yet, and which worker is woken for them. */
#ifndef WEFT_TASK_SHARE_H
#define WEFT_TASK_SHARE_H

#include "task/worker.h"

enum { WORKERS_MAX = 256 };

/* The values of worker->asleep. */
enum { WORKER_AWAKE, WORKER_ASLEEP, WORKER_WOKEN_TO_SEARCH };

/* Lets a worker take part; from then on it may be woken, and is stolen from. */
void share_join(struct worker *worker);

/* How many workers there may be, and are. make: makes one more, so that it joins before that
   returns; false: it could not, and is asked again later. */
void share_init(unsigned workers_max, bool (*make)(void));
unsigned share_workers_max(void);
unsigned share_workers(void);

/* The worker of that number, which is made if it can be; else another one. Not before there is
   one. */
struct worker *share_worker(unsigned number);

/* Whether the worker of that number sleeps, and whether any does, at some moment. */
bool share_sleeps(unsigned number);
bool share_any_sleeps(void);

/*
 * Passes an unstarted task on to whoever runs it first. worker: the calling one's; NULL: none.
 * Returns  false: the worker has made so many that it should run some.
 */
bool share_put(struct worker *worker, struct task *task);

/*
 * An unstarted task from outside or from another worker. to_search: share_sleep() has said so.
 * NULL: there is none, or somebody else is looking; or what was offered has made a started one
 * ready.
 */
struct task *share_take(struct worker *worker, bool to_search);

/* An unstarted task that has waited long, from outside or the worker's own oldest. NULL: none. */
struct task *share_take_old(struct worker *worker);

/*
 * Sleeps in the reactor until there may be something to do.
 * Returns  true: the worker shall search, as it was woken for that or did not sleep.
 */
bool share_sleep(struct worker *worker, weft_deadline deadline);

/*
 * The same in two halves, for a worker whose sleep is somebody else's: from share_doze() to
 * share_rouse() it is woken as if it slept. doze: false: there is something to do already.
 */
bool share_doze(struct worker *worker);
void share_rouse(struct worker *worker);

#endif
