/* SPDX-License-Identifier: MIT */
/*
 * park/cancel.c: cancelling a strand: the bits that say so, the wait that ends, the hooks that run.
 *
 * Calls can run inside each other on one strand, each cancelled apart: a worker's thread must not
 * stay cancelled because the call it ran was. So there is a bit for each depth; a wait ends if any
 * is set. A canceller sets the bit and then looks at the decision; a waiter sets the decision and
 * then looks at the bits: one of them sees the other.
 *
 * All that a canceller does is one step to the strand that acknowledges, by hooks_guard: else its
 * second half could end a wait, or call a hook, that began after the acknowledgement.
 */
#include <errno.h>

#include "park/strand.h"

static uint32_t bit_of(uint32_t depth)
{
    return UINT32_C(1) << (depth < STRAND_DEPTH_MAX ? depth : STRAND_DEPTH_MAX);
}

/* Under hooks_guard. */
static void run_hooks(struct strand *strand)
{
    for (weft_on_cancel *hook = strand->hooks; hook; hook = hook->outer) {
        if (!hook->fn)
            continue;
        hook->fn(hook->ctx);
        hook->fn = NULL; /* at most once */
    }
}

void strand_cancel(struct strand *strand, uint32_t depth)
{
    guard_lock(&strand->hooks_guard);
    /* seq_cst, both: in one order with the stores and looks in park.c's begin() */
    or_seq_cst(&strand->cancels, bit_of(depth));
    uint32_t now = load_seq_cst(&strand->decision);
    while ((now & STRAND_DECISION_MASK) == STRAND_WAITS_CANCELLABLE)
        if (cas_seq_cst(&strand->decision, &now,
                        (now & ~STRAND_DECISION_MASK) | STRAND_CANCELLED)) {
            strand->ops->wake(strand);
            break;
        }
    /* Also when it waited: it may be inside a hook, on its way to a foreign wait. */
    run_hooks(strand);
    guard_unlock(&strand->hooks_guard);
}

bool strand_uncancel(struct strand *self, uint32_t depth)
{
    uint32_t bit = bit_of(depth);
    if (!(load_relaxed(&self->cancels) & bit)) /* relaxed: only the strand itself clears it */
        return false;
    guard_lock(&self->hooks_guard);
    and_relaxed(&self->cancels, ~bit); /* relaxed: the guard orders it */
    guard_unlock(&self->hooks_guard);
    return true;
}

bool strand_cancelled(const struct strand *self)
{
    return !self->shields && load_relaxed(&self->cancels); /* relaxed: later waits look again */
}

bool weft_cancelled(void)
{
    return strand_cancelled(strand_self());
}

bool weft_uncancel(void)
{
    struct strand *self = strand_self();
    return strand_uncancel(self, self->depth);
}

int weft_yield(void)
{
    struct strand *self = strand_self();
    if (strand_cancelled(self))
        return -ECANCELED;
    self->ops->yield(self);
    return 0;
}

int weft_on_cancel_enter(weft_on_cancel *hook, void (*fn)(void *ctx), void *ctx)
{
    struct strand *self = strand_self();
    *hook = (weft_on_cancel){ .fn = self->shields ? NULL : fn, .ctx = ctx };
    guard_lock(&self->hooks_guard);
    /* A canceller sets the bit before it takes the guard: either it finds the hook or we find the
       bit. relaxed: the guard orders them. */
    bool cancelled = !self->shields && load_relaxed(&self->cancels);
    if (!cancelled) {
        hook->outer = self->hooks;
        self->hooks = hook;
    }
    guard_unlock(&self->hooks_guard);
    return cancelled ? -ECANCELED : 0;
}

void weft_on_cancel_leave(weft_on_cancel *hook)
{
    struct strand *self = strand_self();
    guard_lock(&self->hooks_guard);
    if (self->hooks == hook)
        self->hooks = hook->outer;
    guard_unlock(&self->hooks_guard);
}
