/* SPDX-License-Identifier: MIT */
/*
 * strand/future.h: a call from its start to its end, and the handle on it: they are one object.
 *
 *     PENDING --begin--> RUNNING --leave strand--> LEFT --end--> ENDED
 *        |                 ^ |                      ^
 *        |                 | v                      |
 *        |              CANCELLING                  |
 *        +--claimed by a cancellation, or a promise-+
 *
 * Whoever swaps the state away from PENDING owns the call: a runner that then runs it, or a
 * cancellation that ends it without. RUNNING: by the strand `strand`, which a canceller may reach
 * as long as it holds the state at CANCELLING. A future counts references: one for its runner
 * (passed to the owner at the end), one for each handle that was given out.
 */
#ifndef WEFT_STRAND_FUTURE_H
#define WEFT_STRAND_FUTURE_H

#include <weft/future.h>

#include "base/list.h"
#include "park/strand.h"
#include "strand/call.h"
#include "strand/runner.h"
#include "sync/waitable.h"

enum future_state {
    FUTURE_PENDING,
    FUTURE_RUNNING,
    FUTURE_CANCELLING,
    FUTURE_LEFT,
    FUTURE_ENDED,
};

/* Whoever started futures, and is told when they end: a group, a pool, a map. */
struct future_owner {
    /* The future has ended. Takes over the runner's reference. The owner may be freed in it. */
    void (*ended)(struct future_owner *owner, weft_future *future);
    void (*on_error)(const weft_outcome *outcome, void *ctx); /* NULL: none */
    void *on_error_ctx;
    bool heeds_failures; /* a failure may cancel what has not begun */
};

struct weft_future {
    struct waitable waitable; /* first: select finds it there */
    uint32_t refs;
    uint32_t state; /* enum future_state */
    weft_event ended;
    void (*release)(weft_future *future); /* constant: frees it; NULL: free() */
    weft_fn *fn;                /* constant until ended, as are owner and runner; NULL: a promise */
    struct future_owner *owner; /* NULL: a promise */
    struct runner *runner;      /* NULL: a promise */
    struct call call;           /* belongs to whoever owns the call; constant once ended */
    weft_outcome outcome;       /* the same */
    bool wanted;                /* own of a group: next gives it */
    bool stays; /* constant: it lends memory that no process sees, though no lent pointer says so */
    uint32_t elsewhere; /* atomic, changed under the lock of its pool, of kind auto: 1: the pool's
                           processes have it */
    struct strand *strand; /* that runs it; set before it is RUNNING, as is the next */
    uint32_t depth;        /* of the call on that strand */
    struct guard guard;    /* held by cancellers; guards cancel_asked */
    bool cancel_asked;
    struct list group_link;                    /* guarded by the group */
    struct list queue_link;                    /* guarded by the pool */
    char bytes[] __attribute__((aligned(16))); /* the argument's */
};

/*
 * Makes a pending future for fn and a copy of arg (sizes as in call.h), with one reference. handle:
 * somebody else will have a reference, too.
 * Returns  0; -EINVAL, -EFAULT, -EMSGSIZE, -ENOMEM.
 */
int future_new(weft_future **ret, struct runner *runner, struct future_owner *owner, weft_fn *fn,
               const void *arg, size_t arg_bytes, bool handle);

/* Makes memory a pending future with one reference; its call is filled in by the caller. */
void future_init(weft_future *future, struct runner *runner, struct future_owner *owner,
                 weft_fn *fn);

/* Makes a future that has ended, or was never started, pending again, with an empty call. */
void future_rearm(weft_future *future);

/*
 * Checks what an argument is, before it is copied: its size as plain bytes, or for a lent pointer
 * the pointer. Returns 0; -EINVAL, -EFAULT, -EMSGSIZE.
 */
struct argument {
    const void *bytes;
    size_t size;
    void *pointer;
};
int argument_parse(struct argument *ret, struct runner *runner, weft_fn *fn, const void *arg,
                   size_t arg_bytes);

void future_ref(weft_future *future);
void future_unref(weft_future *future);

/* Claims a pending future to run it on the calling strand. False: it has been cancelled. */
bool future_begin(weft_future *future);

/*
 * Claims a pending future for what is no strand of this process. A cancellation then goes to
 * ops->cancel. False: it has been cancelled. future_unassign() makes it pending again;
 * future_take_over() goes before its end.
 */
bool future_assign(weft_future *future);
void future_unassign(weft_future *future);
void future_take_over(weft_future *future);

/* Takes back a future that no runner took. False: it has been cancelled, and has ended so. */
bool future_retract(weft_future *future);

/* The calling strand no longer runs it: cancellations do not reach this strand any more. */
void future_leave_strand(weft_future *future);

/* Whether somebody has asked to cancel it. */
bool future_cancel_asked(weft_future *future);

/*
 * Ends a claimed future; outcome.how, status and what goes with them are set. Takes the runner's
 * reference. text: NULL, or words for a failure that brought none of its own.
 */
void future_end(weft_future *future, weft_how how, int status, const char *text);

/* Ends it by what its function returned: done, failed or cancelled. */
void future_end_returned(weft_future *future, int status);

/*
 * Runs and ends one that was begun, on the calling strand. Takes the runner's reference.
 * worker: which of a pool's that is, for traces; -1: of none.
 */
void future_call(weft_future *future, int64_t worker);

/* The function alone, in the calling strand. Its status. */
int future_run_fn(weft_future *future, int64_t worker);

/* Begins, runs and ends it on the calling strand. Takes the runner's reference. */
void future_run(weft_future *future);

#endif
