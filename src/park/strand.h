/* SPDX-License-Identifier: MIT */
/*
 * park/strand.h: the record of whoever runs: what the library must know of a strand of any kind.
 *
 * A thread's record is thread-local storage of fixed size, so that every thread has one, made by
 * weft or not, and nothing can fail. Other kinds keep theirs where they like and set
 * strand_current while they run. How a strand sleeps is behind struct strand_ops: waiting knows no
 * kinds.
 *
 * Glossary
 *   decision  how the wait that the strand is in stands; whoever swaps it away from WAITING has
 *             decided that wait, alone
 *   token     the wake-up: sent exactly once by the decider, unless the strand decided by itself
 *   depth     how many calls run inside each other on this strand (a serial group, a pool worker)
 */
#ifndef WEFT_PARK_STRAND_H
#define WEFT_PARK_STRAND_H

#include <weft/scope.h>
#include <weft/self.h>

#include "base/futex.h"

struct strand;
struct hold;
struct park_node;
struct reactor;

/* How one kind of strand sleeps. */
struct strand_ops {
    /*
     * Called by the strand itself, in a wait: returns when there is a token, and takes it; or when
     * the deadline has passed and the wait could be decided so: STRAND_TIMED_OUT.
     */
    void (*sleep)(struct strand *self, weft_deadline deadline);

    /*
     * The same for a wait of which some nodes are shared: returns also when one of their words has
     * changed or was woken, or a process has died, and the wait could be decided so: STRAND_WOKEN
     * through one of them.
     */
    void (*sleep_shared)(struct strand *self, struct park_node *nodes, size_t n,
                         weft_deadline deadline);

    /*
     * Gives the strand its token. Called by any strand; never waits. The record may be gone as soon
     * as the token is there, so that is the last write to it.
     */
    void (*wake)(struct strand *strand);

    /* The same; safe in a signal handler, whatever it interrupted. */
    void (*post)(struct strand *strand);

    /* Lets others run; called by the strand itself. */
    void (*yield)(struct strand *self);

    /*
     * Whether spinning for a moment can help: others run meanwhile, and nobody could run in the
     * strand's stead. NULL: no. Called by the strand itself.
     */
    bool (*may_spin)(struct strand *self);
};

/* The lowest bits of a decision; those above are the number of the wait that it is about. */
enum strand_decision {
    STRAND_RUNS,
    STRAND_WAITS,
    STRAND_WAITS_CANCELLABLE,
    STRAND_WOKEN,
    STRAND_CANCELLED,
    STRAND_TIMED_OUT,
    STRAND_CHANGED, /* a word had another value than the one to wait at */
    STRAND_DECISION_MASK = 7,
    STRAND_WAIT_ONE = 8, /* one wait more */
};

/* The number of calls inside each other that can be cancelled apart; deeper ones share a bit. */
#define STRAND_DEPTH_MAX 31u

struct strand {
    const struct strand_ops *ops; /* constant after attaching */
    uint64_t id;                  /* constant after attaching */
    uint32_t token;               /* belongs to ops */
    uint32_t decision;            /* enum strand_decision and the wait's number, by swaps */
    uint32_t wait;                /* own: the number, as it stands in the decision */
    uint32_t cancels;             /* bit d: the call at depth d is cancelled; bit 0: the strand */
    uint32_t depth;               /* own */
    uint32_t shields;             /* own: how many shields are around */
    struct park_node *woken_node; /* written by the decider before the token, read after it */
    weft_scope *scope;            /* own: the innermost */
    struct guard hooks_guard;
    uint32_t io_inline;         /* own: I/O operations since one made it wait (io/op.c) */
    weft_on_cancel *hooks;      /* guarded by hooks_guard: the innermost */
    struct once_run *onces;     /* own: what weft_once_run() is in the middle of, innermost first */
    struct local_value *locals; /* own: values by key, NULL until one is set */
    void *worker_of;            /* own: the pool whose worker this strand is */
    struct reactor *reactor;    /* does the strand's I/O (io/reactor.h); NULL: it does its own, and
                                   blocks. Constant while the strand runs */
    struct hold *hold;          /* own: what it holds that others may want (park/hold.h) */
    uint64_t gil_wait_ns;       /* atomic, written by the strand: how long it has waited for GILs,
                                   which the pool that it works for looks at (pool/auto.c) */
    uint64_t lock_wait_ns;      /* the same, for locks, without the present wait */
    int64_t lock_since_ns;      /* the same: when that began; 0: it waits for no lock */
    uint16_t holds;             /* own: how many */
    bool lingers;               /* own: has last held a GIL for long (sync/gil.c) */
    bool ends_watched;          /* own: if its thread ends, what it holds is abandoned */
    uint32_t traced;            /* own: its trace has its name (debug/trace.c) */
    const char *family;         /* own, borrowed: what the name begins with; NULL: nothing */
    uint64_t number;            /* own: what it ends with, if it has a family */
    char name[32];              /* own; "" until asked for */
};

_Static_assert(sizeof(struct strand) <= 512, "fits the static TLS that dlopen can count on");

extern __thread struct strand *strand_current __attribute__((tls_model("initial-exec")));

struct strand *strand_attach(void);

/* A number for a new strand. */
uint64_t strand_new_id(void);

/* Makes the calling thread another strand than it was: for a child, after a fork. */
void strand_renew(void);

/* The calling strand's record. Never fails. */
static inline struct strand *strand_self(void)
{
    struct strand *self = strand_current;
    return self ? self : strand_attach();
}

/*
 * Cancels what runs at a depth of the strand: ends its wait, calls its hooks. The caller makes sure
 * that the record lives until this returns.
 */
void strand_cancel(struct strand *strand, uint32_t depth);

/* Forgets a cancellation of that depth, by the strand itself. True if there was one. */
bool strand_uncancel(struct strand *self, uint32_t depth);

/* Whether the next cancellable wait would return -ECANCELED. */
bool strand_cancelled(const struct strand *self);

static inline bool strand_waits(uint32_t decision)
{
    decision &= STRAND_DECISION_MASK;
    return decision == STRAND_WAITS || decision == STRAND_WAITS_CANCELLABLE;
}

/* Swaps an undecided wait, of whatever number, to a decision. True: the caller has decided it. */
static inline bool strand_decide(struct strand *strand, uint32_t decision)
{
    uint32_t now = load_relaxed(&strand->decision); /* only a first guess for the swap below */
    while (strand_waits(now))
        /* acq_rel: acquires what the waiter wrote before it queued; releases to its load */
        if (cas_acq_rel(&strand->decision, &now, (now & ~STRAND_DECISION_MASK) | decision))
            return true;
    return false;
}

static inline bool strand_may_spin(struct strand *self)
{
    return self->ops->may_spin && self->ops->may_spin(self);
}

/* Threads as strands (thread.c). */
extern const struct strand_ops thread_ops;

#endif
