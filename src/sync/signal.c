/* SPDX-License-Identifier: MIT */
/* sync/signal.c: the whole of waiting on one signal: attempt, arm, attempt again, park; and waking.
 */
#include <errno.h>

#include "sync/signal.h"

/* Under the bucket's guard. The signal stays armed for those who wait on. */
static void change(struct park_found *found, void *ctx)
{
    struct signal *signal = ctx;
    uint32_t armed = found->more ? SIGNAL_ARMED : 0;
    uint32_t word = load_relaxed(&signal->word); /* a first guess: the swap decides */
    /* relaxed: who finds it changed looks again under the lock */
    while (!cas_relaxed(&signal->word, &word,
                        ((word + SIGNAL_RAISED) & ~(uint32_t)SIGNAL_ARMED) | armed)) {
    }
}

void signal_raise_armed(struct signal *signal, uint32_t n)
{
    park_wake_then(&signal->word, n, change, signal);
}

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
        if (rc != -EAGAIN)
            return rc;
        int waited = park_wait(&node, 1, deadline, flags);
        if (waited < 0 && waited != -EAGAIN)
            return waited;
        rc = attempt(ctx);
    }
    return rc;
}
