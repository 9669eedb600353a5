/* SPDX-License-Identifier: MIT */
/*
 * park/thread.c: threads as strands: the thread-local record and how a thread sleeps.
 *
 * A thread sleeps on the futex word `token` of its own record:
 *
 *     EMPTY --sleep--> SLEEPING --wake--> TOKEN --sleep returns--> EMPTY
 *       \                 \----time is up, and it decides that---/
 *        \-------------wake---------------/
 *
 * When some nodes of its wait are shared, it sleeps on their words as well, and decides by itself
 * what an end of that sleep without a token means.
 *
 * After the swap to TOKEN the thread may return, end, and its record be unmapped while the waker is
 * still on its way into futex_wake(). That is harmless: the kernel uses only the address, and at
 * worst wakes a stranger that sleeps on a futex there, as every futex user must expect.
 */
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "park/park.h"

enum { TOKEN_EMPTY, TOKEN_THERE, TOKEN_SLEEPING };

__thread struct strand *strand_current __attribute__((tls_model("initial-exec")));
static __thread struct strand thread_record __attribute__((tls_model("initial-exec")));

/* Each thread takes numbers by the hundred, for the strands that it makes. */
enum { IDS = 100 };
static uint64_t taken_ids;
static __thread uint64_t last_id __attribute__((tls_model("initial-exec")));

uint64_t strand_new_id(void)
{
    if (last_id % IDS == 0)
        last_id = add_relaxed(&taken_ids, IDS); /* relaxed: only uniqueness matters */
    return ++last_id;
}

struct strand *strand_attach(void)
{
    struct strand *self = &thread_record;
    self->ops = &thread_ops;
    self->id = strand_new_id();
    strand_current = self;
    return self;
}

void strand_renew(void)
{
    thread_record = (struct strand){ 0 };
    strand_attach();
}

void strand_inherit(const struct strand *other)
{
    struct strand *self = strand_self();
    self->id = other->id;
    self->hold = other->hold;
    self->holds = other->holds;
    if (self->hold)
        hold_watch_end(self);
}

static void thread_sleep(struct strand *self, weft_deadline deadline)
{
    uint32_t token = TOKEN_EMPTY;
    /* release: whoever sees that it sleeps sees what it did before; the kernel looks again */
    if (cas_release(&self->token, &token, TOKEN_SLEEPING)) {
        /* acquire: pairs with the swap in thread_wake(); shows what the decider wrote */
        while ((token = load_acquire(&self->token)) == TOKEN_SLEEPING) {
            if (futex_wait(&self->token, TOKEN_SLEEPING, deadline) != -ETIMEDOUT)
                continue;
            deadline = WEFT_FOREVER; /* else it was decided a moment ago: the token comes */
            if (strand_decide(self, STRAND_TIMED_OUT))
                break;
        }
    }
    /* acq_rel for its acquire: pairs with the swap in thread_wake(), when it did not sleep */
    (void)swap_acq_rel(&self->token, TOKEN_EMPTY);
}

/* Sleeps on the token and on what the nodes are about. As futex_wait_any(). */
static int sleep_on(struct strand *self, const struct park_node *nodes, size_t n,
                    weft_deadline deadline)
{
    struct futex_place places[PARK_PLACES_MAX + 1];
    size_t count = park_places(nodes, n, places);
    places[count] = futex_place(&self->token, TOKEN_SLEEPING, false);
    return futex_wait_any(places, count + 1, deadline);
}

/* Decides what a sleep that has ended so means. False: it was decided elsewhere, a token comes. */
static bool decide(struct strand *self, struct park_node *nodes, size_t n, int rc)
{
    if (rc == -ETIMEDOUT)
        return strand_decide(self, STRAND_TIMED_OUT);
    struct park_node *node = park_changed(nodes, n);
    node->token = 0;
    return park_decide_woken(node);
}

static void thread_sleep_shared(struct strand *self, struct park_node *nodes, size_t n,
                                weft_deadline deadline)
{
    uint32_t token = TOKEN_EMPTY;
    /* The orders are those of thread_sleep(). */
    if (cas_release(&self->token, &token, TOKEN_SLEEPING)) {
        int rc = sleep_on(self, nodes, n, deadline);
        if (load_acquire(&self->token) != TOKEN_SLEEPING || !decide(self, nodes, n, rc))
            while (load_acquire(&self->token) == TOKEN_SLEEPING)
                futex_wait(&self->token, TOKEN_SLEEPING, WEFT_FOREVER);
    }
    (void)swap_acq_rel(&self->token, TOKEN_EMPTY);
}

static void thread_wake(struct strand *strand)
{
    uint32_t *token = &strand->token;
    /* acq_rel for its release: pairs with the acquire in thread_sleep() */
    if (swap_acq_rel(token, TOKEN_THERE) == TOKEN_SLEEPING)
        futex_wake(token, 1);
}

static void thread_yield(struct strand *self)
{
    (void)self;
    sched_yield();
}

/* Not the CPUs that the caller may use: a thread that is bound to one contends with those bound to
   others. */
static bool thread_may_spin(struct strand *self)
{
    static long cpus;
    long n = load_relaxed(&cpus); /* relaxed: whoever computes it gets the same */
    (void)self;
    if (!n)
        store_relaxed(&cpus, n = sysconf(_SC_NPROCESSORS_ONLN));
    return n > 1;
}

const struct strand_ops thread_ops = {
    .sleep = thread_sleep,
    .sleep_shared = thread_sleep_shared,
    .wake = thread_wake,
    .post = thread_wake,
    .yield = thread_yield,
    .may_spin = thread_may_spin,
};
