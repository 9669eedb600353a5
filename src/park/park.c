/* SPDX-License-Identifier: MIT */
/*
 * park/park.c: waiting on words, by a table of queues that are found by the word's address.
 *
 * The problem: any number of words, most without waiters, and no room in them for a queue; several
 * ways for a wait to end (a wake-up through one of its nodes, the deadline, a cancellation) of
 * which exactly one may count, or wake-ups get lost.
 *
 * How it works. The table has BUCKETS buckets, each with a guard and a first-in-first-out list of
 * nodes of all words that hash to it. Nodes lie on the waiter's stack.
 *
 *   the waiter   sets its decision to WAITS, queues a node in each word's bucket, checking the
 *                word's value under the guard, looks at the cancel bits, and sleeps until its token
 *                is there
 *   a waker      under the guard, finds nodes of the word and decides their waits: the swap of
 *                decision from WAITS to WOKEN. It unqueues only the nodes whose swap it has won,
 *                so a wake-up is never spent on a strand that was just cancelled or timed out.
 *                After unlocking it sends each strand's token
 *   a canceller  sets the cancel bit, then swaps the decision and sends the token (strand.c)
 *   the deadline is decided by the waiter itself, or by what keeps its time (a task's worker)
 *
 *            WAITS --+--> WOKEN       decider sends a token, the waiter takes it
 *                    +--> CANCELLED   decider sends a token, the waiter takes it
 *                    +--> TIMED_OUT   by the waiter's own side, no token
 *                    +--> CHANGED     by the waiter, no token
 *
 * Why a node's memory is valid as long as anybody touches it: others touch a queued node only under
 * its bucket's guard, and the waiter unqueues all its nodes under those guards before it returns. A
 * node that a waker unqueued is the waker's until it sends the token, and the waiter does not
 * return before it has taken that. The token is the last thing written to the strand.
 *
 * A primitive with a lock of its own can do without the table, and its guards: it keeps the nodes
 * in a queue of its own, which that lock guards as a bucket's guard does. The wait begins while it
 * holds the lock, and `then` releases it. To take its node out again after a wait that was not
 * woken the strand takes the lock, and so may wait once more while the node is still there: that is
 * why waits are numbered, and a node stands for one of them only.
 *
 * Words in shared memory need no table: their nodes are not queued, and a strand whose wait has
 * some sleeps by sleep_shared(), which watches the words themselves, with the kernel's help, and
 * the death epoch (base/participants.h). What it finds decides the wait as a waker would, from the
 * strand's own side. A strand that leaves such a wait for another reason may have been woken
 * through the word at the same time; a primitive that wakes one at a time passes that on.
 *
 * Lock order: a guard of one bucket is the innermost lock; nothing else is taken under it. Wake
 * order: the order of queueing, per word.
 *
 * Signal handlers: park_post() takes the guard if it is free, else leaves a note that the guard's
 * holder, perhaps the very thread it interrupted, acts on when it unlocks.
 *
 * Sources: WebKit's ParkingLot and Rust's parking_lot (the table, the callback under the guard);
 * Go's sudog (several nodes per wait, one decision by compare and swap).
 */
#include <assert.h>
#include <errno.h>

#include "park/park.h"

struct park_bucket park_buckets[1 << PARK_BUCKET_BITS];

/* A queued node's: under the guard, or the lock of the node's queue. */
bool park_decide_woken(struct park_node *node)
{
    struct strand *strand = node->strand;
    uint32_t now = load_relaxed(&strand->decision); /* a first guess: the swap decides */
    while (strand_waits(now) && (now & ~STRAND_DECISION_MASK) == node->wait)
        if (cas_acq_rel(&strand->decision, &now, node->wait | STRAND_WOKEN)) { /* as the others */
            strand->woken_node = node;
            return true;
        }
    return false;
}

/* Under the guard. */
static void unqueue(struct park_bucket *bucket, struct park_node *node)
{
    list_remove(&node->link);
    node->queued = false;
    store_relaxed(&bucket->queued, bucket->queued - 1); /* relaxed: seen late, it costs a look */
}

/* Decides a queued node's wait as woken, and if that succeeds unqueues it. Under the guard. */
static bool claim(struct park_bucket *bucket, struct park_node *node)
{
    if (!park_decide_woken(node))
        return false;
    unqueue(bucket, node);
    return true;
}

/* Wakes what park_post() meant. Under the guard: a waiter's token does not need it. */
static void wake_posted(struct park_bucket *bucket)
{
    for (struct list *it = bucket->nodes.next; it && it != &bucket->nodes;) {
        struct park_node *node = CONTAINER(it, struct park_node, link);
        it = it->next;
        /* seq_cst: in one order with the change before park_post() and the wait's own check */
        if (node->postable && load_seq_cst(node->word) != node->value && claim(bucket, node)) {
            node->token = 0;
            node->strand->ops->post(node->strand);
        }
    }
}

static void bucket_unlock(struct park_bucket *bucket)
{
    while (!guard_unlock(&bucket->guard))
        wake_posted(bucket);
}

/* False: the word has another value. */
static bool enqueue(struct park_node *node)
{
    struct park_bucket *bucket = park_bucket_of(node->word);
    guard_lock(&bucket->guard);
    /* relaxed: whoever has changed it looks for waiters under the guard; who looks first whether
       there may be some (park_maybe_waited_for()) waits with a `then` that looks again */
    bool same = load_relaxed(node->word) == node->value;
    if (same) {
        if (!bucket->nodes.next)
            list_init(&bucket->nodes);
        list_push_back(&bucket->nodes, &node->link);
        node->queued = true;
        store_relaxed(&bucket->queued, bucket->queued + 1); /* relaxed: the fence in begin() */
    }
    bucket_unlock(bucket);
    return same;
}

/* A look that spares the sleep, in which the kernel looks again. */
static bool shared_changed(const struct park_node *node)
{
    /* acquire: pairs with whatever release changed it */
    return load_acquire(node->word) != node->value || death_epoch() != node->epoch;
}

static void dequeue(struct park_node *node)
{
    if (!node->word || node->shared)
        return; /* the caller will, under its lock; or there is nothing to undo */
    struct park_bucket *bucket = park_bucket_of(node->word);
    guard_lock(&bucket->guard);
    if (node->queued)
        unqueue(bucket, node);
    bucket_unlock(bucket);
}

/*
 * Queues nodes until all are, or the wait is decided. *queued counts them.
 * True: the strand itself has decided, no token will come.
 */
static bool begin(struct strand *self, struct park_node *nodes, size_t n, bool cancellable,
                  size_t *queued)
{
    /* release: pairs with the acquire half of the swap by which another decides the wait, and may
       then write what is the strand's own while it runs (a task's link) */
    self->wait += STRAND_WAIT_ONE;
    store_release(&self->decision,
                  self->wait | (cancellable ? STRAND_WAITS_CANCELLABLE : STRAND_WAITS));
    for (*queued = 0; *queued < n; ++*queued) {
        struct park_node *node = &nodes[*queued];
        node->strand = self;
        node->wait = self->wait;
        if (!node->word)
            continue; /* the caller has queued it, and holds the lock */
        node->queued = false;
        if (node->shared ? shared_changed(node) : !enqueue(node))
            return strand_decide(self, STRAND_CHANGED);
    }
    /* With the canceller's bit and its look at the decision (cancel.c), and with a change of a word
       and the look of park_maybe_waited_for(): one of two sees the other. */
    fence_seq_cst();
    return cancellable && load_relaxed(&self->cancels) && /* relaxed: the fence orders it */
           strand_decide(self, STRAND_CANCELLED);
}

static int result(struct strand *self, const struct park_node *nodes, weft_scope *governor)
{
    /* acquire: pairs with the release in the decider's swap */
    uint32_t decision = load_acquire(&self->decision) & STRAND_DECISION_MASK;
    store_relaxed(&self->decision, STRAND_RUNS); /* nobody looks: no node is queued any more */
    switch (decision) {
    case STRAND_WOKEN:
        return nodes ? (int)(self->woken_node - nodes) : 0;
    case STRAND_CHANGED:
        return -EAGAIN;
    case STRAND_CANCELLED:
        return -ECANCELED;
    default:
        if (governor)
            governor->ended_something = true;
        return -ETIMEDOUT;
    }
}

static bool any_shared(const struct park_node *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i].shared)
            return true;
    return false;
}

/* What a wait that was decided so returns, but for its node. */
static int status_of(uint32_t decision)
{
    static const int statuses[STRAND_DECISION_MASK + 1] = {
        [STRAND_CHANGED] = -EAGAIN,
        [STRAND_CANCELLED] = -ECANCELED,
        [STRAND_TIMED_OUT] = -ETIMEDOUT,
    };
    return statuses[decision & STRAND_DECISION_MASK];
}

static void go_to_sleep(struct strand *self, struct park_node *nodes, size_t n,
                        weft_deadline deadline, unsigned flags)
{
    const void *object = n ? nodes[0].word : NULL;
    struct trace_span span;
    trace_begin_wait(&span, flags, object);
    if (any_shared(nodes, n))
        self->ops->sleep_shared(self, nodes, n, deadline);
    else
        self->ops->sleep(self, deadline);
    /* acquire: pairs with the release in the decider's swap */
    if (__builtin_expect(span.state != TRACE_UNSEEN, 0))
        trace_wait_ended(&span, flags, object, status_of(load_acquire(&self->decision)));
}

int park_wait_then(struct park_node *nodes, size_t n, weft_deadline deadline, unsigned flags,
                   void (*then)(void *ctx), void *ctx)
{
    assert(n <= PARK_NODES_MAX);
    struct strand *self = strand_self();
    bool open = !(flags & PARK_SHIELDED);
    weft_scope *governor = NULL; /* the scope whose deadline is the first to come */
    if (open && self->scope && self->scope->governor &&
        self->scope->governor->deadline.ns < deadline.ns) {
        governor = self->scope->governor;
        deadline = governor->deadline;
    }
    size_t queued = 0;
    struct hold_away away;
    away.n = 0;
    bool own_decision = begin(self, nodes, n, open && !self->shields, &queued);
    if (!own_decision) {
        if (then && queued == n)
            then(ctx);
        if (!(flags & PARK_KEEPS))
            hold_let_go(self, &away);
        go_to_sleep(self, nodes, queued, deadline, flags);
    }
    for (size_t i = 0; i < queued; i++)
        /* relaxed: this strand knows that it is decided */
        if (&nodes[i] != self->woken_node ||
            (load_relaxed(&self->decision) & STRAND_DECISION_MASK) != STRAND_WOKEN)
            dequeue(&nodes[i]);
    int rc = result(self, nodes, governor);
    hold_take_back(self, &away); /* a wait, now that the strand waits for nothing else */
    return rc;
}

int park_wait(struct park_node *nodes, size_t n, weft_deadline deadline, unsigned flags)
{
    return park_wait_then(nodes, n, deadline, flags, NULL, NULL);
}

bool park_end(struct strand *strand)
{
    if (!strand_decide(strand, STRAND_WOKEN))
        return false;
    strand->ops->wake(strand);
    return true;
}

void park_wake_shared(const uint32_t *word, int n)
{
    futex_wake_shared(word, n);
}

size_t park_places(const struct park_node *nodes, size_t n, struct futex_place *ret_places)
{
    size_t count = 0;
    uint32_t epoch = 0;
    for (size_t i = 0; i < n; i++) {
        if (!nodes[i].shared)
            continue;
        epoch = nodes[i].epoch; /* the same for all, as begin() has seen */
        ret_places[count++] = futex_place(nodes[i].word, nodes[i].value, true);
    }
    ret_places[count++] = futex_place(&participants->epoch, epoch, true);
    return count;
}

struct park_node *park_changed(struct park_node *nodes, size_t n)
{
    struct park_node *first = NULL;
    for (size_t i = 0; i < n; i++) {
        struct park_node *node = &nodes[i];
        if (!node->shared)
            continue;
        if (load_acquire(node->word) != node->value) /* as shared_changed() */
            return node;
        if (!first)
            first = node;
    }
    return first;
}

/* What a wake-up is looking for. */
struct wake {
    const uint32_t *word;
    uint32_t max;
    bool retrying; /* only those that retry */
};

/* Unqueues waiters, decided as woken, into the list. Under the guard. */
static void collect(struct park_bucket *bucket, const struct wake *wake, struct list *ret_woken,
                    struct park_found *found)
{
    for (struct list *it = bucket->nodes.next; it && it != &bucket->nodes;) {
        struct park_node *node = CONTAINER(it, struct park_node, link);
        it = it->next;
        if (node->word != wake->word || (wake->retrying && !node->retries))
            continue;
        if (found->woken == wake->max) {
            found->more = true;
            return;
        }
        if (!claim(bucket, node))
            continue;
        list_push_back(ret_woken, &node->link);
        if (!found->woken++)
            found->first = node;
    }
}

static uint32_t wake_then(const struct wake *wake,
                          void (*then)(struct park_found *found, void *ctx), void *ctx)
{
    struct park_bucket *bucket = park_bucket_of(wake->word);
    struct park_found found = { .woken = 0 };
    struct list woken = LIST_INIT(woken);
    guard_lock(&bucket->guard);
    collect(bucket, wake, &woken, &found);
    then(&found, ctx);
    bucket_unlock(bucket);
    park_resume(&woken, found.token);
    return found.woken;
}

int64_t park_first_since(const uint32_t *word)
{
    struct park_bucket *bucket = park_bucket_of(word);
    int64_t since_ns = 0;
    guard_lock(&bucket->guard);
    for (struct list *it = bucket->nodes.next; it && it != &bucket->nodes; it = it->next) {
        const struct park_node *node = CONTAINER(it, struct park_node, link);
        if (node->word == word) {
            since_ns = node->since_ns;
            break;
        }
    }
    bucket_unlock(bucket);
    return since_ns;
}

void park_claim(const uint32_t *word, uint32_t max, struct list *ret_claimed)
{
    struct park_bucket *bucket = park_bucket_of(word);
    struct wake wake = { .word = word, .max = max };
    struct park_found found = { .woken = 0 };
    list_init(ret_claimed);
    guard_lock(&bucket->guard);
    collect(bucket, &wake, ret_claimed, &found);
    bucket_unlock(bucket);
}

bool park_claim_first(struct list *queue, struct list *claimed)
{
    LIST_FOREACH (link, queue) {
        struct park_node *node = CONTAINER(link, struct park_node, link);
        if (!park_decide_woken(node))
            continue; /* its strand is about to take it out */
        list_remove(link);
        node->queued = false;
        list_push_back(claimed, link);
        return true;
    }
    return false;
}

void park_resume(struct list *claimed, uint32_t token)
{
    for (struct list *it; (it = list_pop_front(claimed));) {
        struct park_node *node = CONTAINER(it, struct park_node, link);
        struct strand *strand = node->strand;
        node->token = token;
        strand->ops->wake(strand); /* from here on the node is gone */
    }
}

uint32_t park_wake_then(const uint32_t *word, uint32_t max,
                        void (*then)(struct park_found *found, void *ctx), void *ctx)
{
    return wake_then(&(struct wake){ .word = word, .max = max }, then, ctx);
}

uint32_t park_nudge(const uint32_t *word, void (*then)(struct park_found *found, void *ctx),
                    void *ctx)
{
    return wake_then(&(struct wake){ .word = word, .max = 1, .retrying = true }, then, ctx);
}

static void set_token(struct park_found *found, void *token)
{
    found->token = *(uint32_t *)token;
}

uint32_t park_wake(const uint32_t *word, uint32_t max, uint32_t token)
{
    return park_wake_then(word, max, set_token, &token);
}

void park_post(const uint32_t *word)
{
    struct park_bucket *bucket = park_bucket_of(word);
    if (!guard_try_or_note(&bucket->guard))
        return;
    wake_posted(bucket);
    bucket_unlock(bucket);
}
