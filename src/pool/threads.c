/* SPDX-License-Identifier: MIT */
/* pool/threads.c: the back end whose workers run the calls themselves: threads, tasks, serial. */
#include <stdio.h>

#include "pool/pool.h"
#include "strand/self.h"

bool pool_begin(struct worker *worker, weft_future *future)
{
    if (!future_begin(future)) {
        future_unref(future); /* its cancellation has told the owner */
        return false;
    }
    const weft_options *options = &worker->pool->options;
    weft_call *pub = &future->call.pub;
    pub->context = (void *)options->context;
    pub->context_bytes = options->context_bytes == WEFT_POINTER ? 0 : options->context_bytes;
    pub->worker = worker->state;
    future->outcome.worker = worker->number;
    return true;
}

int pool_enter(struct worker *worker, struct open_failure *ret_failure)
{
    const weft_options *options = &worker->pool->options;
    if (!options->enter)
        return 0;
    struct call call = { .pub.context = (void *)options->context,
                         .pub.context_bytes =
                             options->context_bytes == WEFT_POINTER ? 0 : options->context_bytes };
    int rc = options->enter(&call.pub, &worker->state);
    if (rc < 0) {
        ret_failure->error = rc;
        snprintf(ret_failure->text, sizeof ret_failure->text, "a worker could not enter: %.130s",
                 call.text[0] ? call.text : weft_strerror(rc));
    }
    call_reset(&call);
    return rc < 0 ? rc : 0;
}

void pool_fail(weft_future *future, const struct open_failure *failure)
{
    if (future_retract(future))
        future_end(future, WEFT_FAILED, failure->error, failure->text);
    else
        future_unref(future);
}

static int open_worker(struct worker *worker, struct open_failure *ret_failure)
{
    return pool_enter(worker, ret_failure);
}

static void run(struct worker *worker, weft_future *future)
{
    if (pool_begin(worker, future))
        future_call(future, worker->number);
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
