/* SPDX-License-Identifier: MIT */
/*
 * weft/scope.h: a deadline, or a shield from cancellation, for everything inside a block.
 *
 *     weft_scope scope;
 *     weft_scope_enter(&scope, weft_after(2 * WEFT_S), 0);
 *     rc = talk_to(server);                 however many waits that makes
 *     if (weft_scope_leave(&scope) == -ETIMEDOUT)
 *         ...                               the two seconds ended one of them
 *
 * Scopes belong to the strand that enters them and nest: the soonest deadline counts. A wait that a
 * scope ends returns -ETIMEDOUT. A shield hides cancellations, and the deadlines of the scopes
 * around it, from what is inside, so that cleaning up can wait; its own deadline holds.
 */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <weft/time.h>

WEFT_BEGIN

/* Memory of the caller, usually on the stack, valid from enter to leave. */
typedef struct weft_scope {
    struct weft_scope *outer; /* private, all of it */
    struct weft_scope *governor;
    weft_deadline deadline;
    uint32_t flags, ended_something;
    uint64_t reserved[2];
} weft_scope;

#define WEFT_SHIELD 1u

/* Enters a scope. flags: 0 or WEFT_SHIELD. */
void weft_scope_enter(weft_scope *scope, weft_deadline deadline, unsigned flags);

/*
 * Leaves the innermost scope, which must be this one.
 * Returns  0; -ETIMEDOUT: this scope's deadline ended at least one wait inside; -EINVAL: not the
 *          innermost scope of the calling strand (nothing is left).
 */
int weft_scope_leave(weft_scope *scope);

/* The soonest deadline of the scopes around the caller; WEFT_FOREVER if there is none. */
weft_deadline weft_scope_deadline(void);

WEFT_END
#endif
