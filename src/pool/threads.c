/* SPDX-License-Identifier: MIT */
/* pool/threads.c: the back end whose workers run the calls themselves. */
#include "pool/pool.h"
#include "strand/self.h"

static int open_worker(struct worker *worker, struct open_failure *ret_failure)
{
    return pool_enter(worker, ret_failure);
}

static void run(struct worker *worker, weft_future *future)
{
    if (pool_begin(worker, future))
        future_call(future);
}

static void close_worker(struct worker *worker)
{
    if (worker->pool->options.leave)
        worker->pool->options.leave(worker->state);
    worker->state = NULL;
    locals_drop(strand_self());
}

const struct pool_backend threads_backend = {
    .open = open_worker,
    .run = run,
    .close = close_worker,
    .nests = true,
};
