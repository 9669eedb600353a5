/* SPDX-License-Identifier: MIT */
/*
 * pool/serial.c: pools of kind serial: whoever submits a call runs it, one at a time. There is one
 * worker's state, used under the rlock `one`; a call may submit calls, so it must be reentrant.
 */
#include <errno.h>
#include <stdlib.h>

#include "pool/pool.h"
#include "sync/lock.h"

int pool_serial_open(weft_pool *pool)
{
    pool->workers = calloc(1, sizeof *pool->workers);
    if (!pool->workers)
        return -ENOMEM;
    pool->workers->pool = pool;
    pool->usable = pool_enter(pool->workers, &pool->failure) == 0;
    return 0;
}

static void leave(weft_pool *pool)
{
    if (pool->usable && pool->options.leave)
        pool->options.leave(pool->workers->state);
    pool->workers->state = NULL;
    pool->workers->calls = 0;
}

/* The strand that ran the last call may still be on its way out of start(). */
void pool_serial_close(weft_pool *pool)
{
    weft_rlock_lock(&pool->one);
    leave(pool);
    weft_rlock_release(&pool->one);
}

/* Enters anew after so many calls, if the options say so. By the outermost call only. */
static void renew(weft_pool *pool)
{
    uint32_t most = pool->options.calls_per_worker_max;
    if (!most || pool->workers->calls < most || weft_rlock_depth(&pool->one) > 1)
        return;
    leave(pool);
    pool->usable = pool_enter(pool->workers, &pool->failure) == 0;
}

static int start(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    weft_pool *pool = (weft_pool *)runner;
    int rc = weft_rlock_acquire(&pool->one, deadline);
    if (rc < 0)
        return rc;
    lock_inner(&pool->lock);
    rc = pool->closing ? -EPIPE : 0;
    weft_lock_release(&pool->lock);
    if (rc == 0)
        renew(pool);
    if (rc == 0 && !pool->usable) {
        pool_fail(future, &pool->failure);
    } else if (rc == 0) {
        pool_run(pool->workers, future);
    }
    weft_rlock_release(&pool->one);
    return rc;
}

const struct runner_ops pool_serial_ops = { .start = start };
