/* SPDX-License-Identifier: MIT */
/* sync/signal.c: the whole of waiting on one signal: attempt, arm, attempt again, park. */
#include <errno.h>

#include "sync/signal.h"

int signal_wait(struct signal *signal, int (*attempt)(void *ctx), void *ctx, weft_deadline deadline,
                unsigned flags)
{
    int rc = attempt(ctx);
    while (rc == -EAGAIN) {
        if (deadline.ns <= 0)
            return -ETIMEDOUT;
        struct park_node node;
        signal_arm(signal, &node);
        rc = attempt(ctx);
        int waited = rc == -EAGAIN ? park_wait(&node, 1, deadline, flags) : 0;
        signal_disarm(signal);
        if (waited < 0 && waited != -EAGAIN)
            return waited;
        if (rc == -EAGAIN)
            rc = attempt(ctx);
    }
    return rc;
}
