/* SPDX-License-Identifier: MIT */
/*
 * park/park.h: the one door through which everything waits: a futex for every kind of strand.
 *
 * A strand waits on up to PARK_NODES_MAX words of four bytes while each holds a value, until a
 * deadline, cancellably; others wake waiters of a word, first come, first woken. A wake-up is never
 * lost: who changes a word and then wakes it finds every strand that saw the old value. What a
 * waker did before happens before the return of the wait that it ended.
 *
 * Words in memory that processes share are waited for beside others, by nodes marked `shared`.
 * Nobody queues those: the sleep watches the word itself, so that other processes can wake it. Such
 * a wait may end for nothing, and does at the death of any process, so whoever is waiting looks
 * again.
 */
#ifndef WEFT_PARK_PARK_H
#define WEFT_PARK_PARK_H

#include "base/list.h"
#include "base/participants.h"
#include "park/hold.h"
#include "park/strand.h"
#include "park/trace.h"

#define PARK_NODES_MAX 64

/* Where the waiters of a word queue, found by its address; many words share one. */
struct park_bucket {
    struct guard guard;
    uint32_t queued;   /* changed under the guard: how many nodes there are */
    struct list nodes; /* guarded; zero until first used */
} __attribute__((aligned(64)));

enum { PARK_BUCKET_BITS = 12 };
extern struct park_bucket park_buckets[1 << PARK_BUCKET_BITS] __attribute__((visibility("hidden")));

static inline struct park_bucket *park_bucket_of(const uint32_t *word)
{
    uint64_t hash = ((uintptr_t)word >> 2) * UINT64_C(0x9E3779B97F4A7C15); /* Fibonacci hashing */
    return &park_buckets[hash >> (64 - PARK_BUCKET_BITS)];
}

/*
 * False: nobody waits for the word, so far as the caller can see. Only the address is used, so the
 * word may be gone.
 */
static inline bool park_maybe_waited_for(const uint32_t *word)
{
    /* seq_cst: in one order with a waiter's queueing, for callers that have changed the word so */
    return load_seq_cst(&park_bucket_of(word)->queued) != 0;
}

/* One word that a wait is for. On the waiter's stack; the first fields are the caller's. */
struct park_node {
    const uint32_t *word;  /* NULL: it is in a queue of the caller's, who has set queued */
    uint32_t value;        /* it waits while *word == value */
    uint32_t token;        /* what the waker says, valid once woken by this node */
    bool postable;         /* park_post() wakes it */
    bool retries;          /* park_nudge() wakes it: it copes with a wake-up for nothing */
    bool loose;            /* for the primitive: once woken, nobody relies on it */
    bool shared;           /* the word is in shared memory: park_wake_shared() wakes it */
    uint32_t epoch;        /* shared: the death epoch, read before what made the caller wait */
    bool queued;           /* guarded by the bucket, or the queue's lock */
    struct list link;      /* the same; after that the waker's */
    struct strand *strand; /* set by the wait, as is the next */
    uint32_t wait;         /* its number */
    int64_t since_ns;      /* for the primitive: when this strand began to wait */
};

/* A node for a word in shared memory. */
static inline struct park_node park_shared_node(const uint32_t *word, uint32_t value,
                                                uint32_t epoch)
{
    return (struct park_node){ .word = word, .value = value, .shared = true, .epoch = epoch };
}

/* Flags of a wait; and what it is for (enum park_purpose). */
enum {
    PARK_SHIELDED = 1, /* ignores cancellation and scopes */
    PARK_KEEPS = 2,    /* keeps what the strand holds (park/hold.h) */
};

/*
 * Waits until one of n nodes is woken, or with nodes NULL and n 0 until park_end().
 * Returns  its index, its token set; -EAGAIN: one of the words had another value; -ETIMEDOUT (of
 *          the deadline or a scope's); -ECANCELED.
 */
int park_wait(struct park_node *nodes, size_t n, weft_deadline deadline, unsigned flags);

/*
 * The same, and calls then(ctx) when all nodes are queued, before it sleeps: what is woken from
 * then on is found. Not called if the wait is over before that (-EAGAIN, -ECANCELED).
 */
int park_wait_then(struct park_node *nodes, size_t n, weft_deadline deadline, unsigned flags,
                   void (*then)(void *ctx), void *ctx);

/*
 * Ends a wait without nodes: for a waker that knows its strand, which must not go away meanwhile.
 * Returns  true: the wait returns 0; false: it has ended otherwise, or the strand does not wait.
 */
bool park_end(struct strand *strand);

/*
 * Makes up to n waiters of a word in shared memory look at it, of whatever process. The word has
 * been changed. Only its address is used. Signal-safe.
 */
void park_wake_shared(const uint32_t *word, int n);

/* Wakes up to max waiters of a word, with a token. Returns how many. */
uint32_t park_wake(const uint32_t *word, uint32_t max, uint32_t token);

/* What a wake-up found, before the woken ones run. */
struct park_found {
    uint32_t woken;
    bool more;                     /* there may be further waiters */
    const struct park_node *first; /* of the woken ones; NULL: none */
    uint32_t token;                /* for all of them; may be set here */
};

/*
 * The same, and calls then(found, ctx) under the bucket's guard: no strand can start to wait for
 * the word while it runs, so it may change the word to fit. It must not wait nor wake.
 */
uint32_t park_wake_then(const uint32_t *word, uint32_t max,
                        void (*then)(struct park_found *found, void *ctx), void *ctx);

/*
 * The same for one waiter that retries, for a caller that has already let go of what the word
 * belongs to: its memory may be another's by now, and a waiter found there a stranger.
 */
uint32_t park_nudge(const uint32_t *word, void (*then)(struct park_found *found, void *ctx),
                    void *ctx);

/* Since when the first waiter of a word has been waiting: its node's since_ns; 0: there is none. */
int64_t park_first_since(const uint32_t *word);

/*
 * The same in two steps: claimed waiters are woken already, and wait for nothing but to be resumed,
 * so that in between the caller can let go of what the word belongs to.
 */
void park_claim(const uint32_t *word, uint32_t max, struct list *ret_claimed);

/* The same for the first that can be claimed of a queue of the caller's. False: there is none. */
bool park_claim_first(struct list *queue, struct list *claimed);

void park_resume(struct list *claimed, uint32_t token);

/*
 * Wakes all postable waiters of the word if it no longer has the value they wait at. Safe in a
 * signal handler; never waits.
 */
void park_post(const uint32_t *word);

/* ---- for those who put strands to sleep (struct strand_ops) */

/* Decides a wait as woken through a node. False: it has been decided already. */
bool park_decide_woken(struct park_node *node);

/* Fills in what a sleep with shared nodes must watch: their words and the death epoch. How many. */
enum { PARK_PLACES_MAX = PARK_NODES_MAX + 1 };
size_t park_places(const struct park_node *nodes, size_t n, struct futex_place *ret_places);

/* The first shared node whose word has changed; if none has, the first shared one. */
struct park_node *park_changed(struct park_node *nodes, size_t n);

#endif
