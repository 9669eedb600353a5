/* SPDX-License-Identifier: MIT */
/*
 * pool/lead.c: a thread that waits for something of a crew's does the crew's work itself meanwhile.
 *
 * So a result that it waits for wakes it, and nobody else before it. It spins for a moment before
 * it sleeps, while processes are at work on other CPUs; each time that this is in vain it spins
 * more rarely, down to once in 256 waits. Leader and followers: whoever leads ends the futures of
 * all; the others sleep as any strand does, until theirs has ended.
 *
 * The leader lets the supervisor listen while it runs the code of others, which may take long. What
 * it has let go of while it slept (park/hold.h) it takes back when it leads no more: others wait
 * for what it is to do.
 *
 * Source: the leader/followers pattern (Schmidt et al.), with spinning as in process/serve.c.
 */
#include <errno.h>
#include <sched.h>

#include "pool/crew.h"
#include "sync/lock.h"

#define SPIN_NS (10 * WEFT_US)

enum { PAUSE_MAX = 255, SPINS_PER_LOOK = 8, WATCHED = 8 };

/* What a leader looks at while it spins: where lanes move, and how they stand. */
struct watch {
    uint32_t n;
    struct {
        const struct lane *lane;
        uint32_t head, done;
    } lanes[WATCHED];
};

/* Under the lock. */
static void watch_lanes(struct crew *crew, struct watch *watch)
{
    watch->n = 0;
    if (crew->once)
        return; /* its lanes go away; and to start a process takes longer than to sleep */
    for (uint32_t i = 0; i < crew->members_count && watch->n < WATCHED; i++) {
        const struct member *member = crew->members[i];
        if (member->head == member->tail)
            continue;
        watch->lanes[watch->n].lane = member->lane;
        watch->lanes[watch->n].head = member->head;
        watch->lanes[watch->n++].done = member->assignments[member->head % LANE_BATCHES].seen;
    }
}

/* Relaxed, all: collecting looks properly. */
static bool has_moved(const struct watch *watch)
{
    for (uint32_t i = 0; i < watch->n; i++) {
        uint32_t head = watch->lanes[i].head;
        const struct lane *lane = watch->lanes[i].lane;
        if (load_relaxed(&lane->head) != head ||
            load_relaxed(&lane->batches[head % LANE_BATCHES].done) != watch->lanes[i].done)
            return true;
    }
    return false;
}

/* Spins for news, without the lock: a lane may be cleared for another process meanwhile. */
static bool spin(struct crew *crew, const struct watch *watch)
{
    if (!watch->n || !strand_may_spin(strand_self()))
        return false;
    if (crew->waits) { /* the leader's own */
        crew->waits--;
        return false;
    }
    int64_t until = weft_now() + SPIN_NS;
    do
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (has_moved(watch)) {
                crew->pause = 0;
                return true;
            }
            cpu_relax();
        }
    while (weft_now() < until);
    crew->pause = 2 * crew->pause + 1 < PAUSE_MAX ? 2 * crew->pause + 1 : PAUSE_MAX;
    crew->waits = crew->pause;
    return false;
}

/* Whether telling of a harvest runs the code of others. */
static bool runs_foreign_code(const struct harvest *harvest)
{
    return harvest->failed ||
           (!list_empty(&harvest->ended) &&
            CONTAINER(harvest->ended.next, weft_future, queue_link)->owner->on_error);
}

/*
 * Drives, and tells what came of it. Under the lock, which it may release for a while; somebody
 * else may lead after that. Returns whether it was released.
 */
static bool drive(struct crew *crew)
{
    struct harvest harvest;
    harvest_init(&harvest);
    crew_drive(crew, &harvest);
    if (!harvest.failed && list_empty(&harvest.ended)) {
        if (crew->pausing)
            crew_resume(crew);
        return false;
    }
    if (runs_foreign_code(&harvest))
        crew->leader = NULL;
    crew_hold(crew);
    crew_leave(crew, &harvest);
    lock_inner(&crew->lock);
    return true;
}

/* Sleeps on the bell. Under the lock, which it releases meanwhile. */
static int sleep_on_bell(struct crew *crew, const struct awaited *what, weft_deadline deadline,
                         unsigned flags, struct hold_away *away)
{
    struct hub *hub = crew->hub;
    uint32_t epoch = death_epoch();
    struct park_node nodes[2];
    what->arm(what->ctx, &nodes[0]);
    nodes[1] = park_shared_node(&hub->bell, load_acquire(&hub->bell), epoch); /* with ring()'s */
    if (what->ended(what->ctx))
        return 0;
    store_relaxed(&hub->listening, LEADER); /* relaxed: the fence orders it */
    fence_seq_cst();                        /* pairs with the one in serve.c's ring() */
    int rc = -EAGAIN;
    if (!crew_has_news(crew)) {
        weft_lock_release(&crew->lock);
        hold_let_go(strand_self(), away);
        rc = park_wait(nodes, 2, deadline, flags);
        lock_inner(&crew->lock);
    }
    uint32_t listening = LEADER;
    (void)cas_relaxed(&hub->listening, &listening, NOBODY); /* relaxed: nobody sleeps any more */
    return rc;
}

/* Becomes the leader. Under the lock. */
static bool take_the_lead(struct crew *crew)
{
    struct strand *self = strand_self();
    if (crew->leader && crew->leader != self)
        return false;
    crew->leader = self;
    uint32_t listening = SUPERVISOR;
    (void)cas_relaxed(&crew->hub->listening, &listening, NOBODY); /* relaxed: we look ourselves */
    return true;
}

/* One round: drives, then waits for news. 1: go on; 0: ended; or as crew_lead(). */
static int lead_on(struct crew *crew, const struct awaited *what, weft_deadline deadline,
                   unsigned flags, struct hold_away *away)
{
    struct watch watch;
    bool told = drive(crew);
    if (what->ended(what->ctx))
        return 0;
    if (!take_the_lead(crew))
        return -EAGAIN;
    if (told)
        return 1; /* there was news; there may be more */
    if (deadline.ns <= 0)
        return -ETIMEDOUT;
    watch_lanes(crew, &watch);
    weft_lock_release(&crew->lock);
    bool news = spin(crew, &watch);
    lock_inner(&crew->lock);
    if (news)
        return 1;
    int rc = sleep_on_bell(crew, what, deadline, flags, away);
    return rc == -ETIMEDOUT || rc == -ECANCELED ? rc : 1;
}

int crew_lead(struct crew *crew, const struct awaited *what, weft_deadline deadline, unsigned flags)
{
    struct harvest harvest;
    struct hold_away away;
    if (strand_self()->ops != &thread_ops)
        return -EAGAIN;
    away.n = 0;
    crew_enter(crew);
    bool outer = crew->leader == strand_self(); /* it waits inside of what a leader tells */
    int rc = take_the_lead(crew) ? 1 : -EAGAIN;
    while (rc > 0)
        rc = lead_on(crew, what, deadline, flags, &away);
    if (!outer && crew->leader == strand_self())
        crew->leader = NULL;
    if (rc < 0 && what->ended(what->ctx))
        rc = 0;
    harvest_init(&harvest);
    crew_leave(crew, &harvest);
    hold_take_back(strand_self(), &away);
    return rc;
}
