/* SPDX-License-Identifier: MIT */
/*
 * task/share.c: how unstarted tasks find a worker.
 *
 * A task that a worker makes goes into its deque; one made by another thread (or for want of
 * memory) into `outside`, a queue for all. A worker that has nothing of its own searches: outside
 * first, then the others' deques. One at a time searches, however many are idle; one that finds
 * something has another woken if there is more.
 *
 * What a pool offers (offer.h) is searched last; whoever takes it up has a task of his own ready
 * then. Looking around takes it up, too, or a worker that always has tasks would leave it to one
 * that computes.
 *
 * Whoever puts a task wakes a worker to search, unless one is searching. There is one exception:
 * the only task in a deque wakes nobody as long as some worker watches, because its maker will most
 * likely run it itself in a moment. The watcher is the worker that fell asleep last: it sleeps no
 * longer than WATCH_NS, growing to WATCH_MAX_NS, so that a task whose maker goes on computing is
 * stolen after that time. When all others are asleep there is nothing to watch and everybody sleeps
 * without an end.
 *
 * No wake-up is lost. Putting: the task is stored, full fence, then `searching`, `watched` and
 * `sleeping` are read. Sleeping: those are written, then (seq_cst) all queues are looked at again.
 * One of them sees the other. A searcher or a watcher clears its mark before that last look; so
 * does whoever set the mark to wake a searcher, and found that all had been woken just then.
 *
 * If a further worker cannot be made, the next wish for one waits for REFUSED_MIN events, and after
 * each further failure for twice as many, up to REFUSED_MAX. A task that is put with nobody idle is
 * an event; a look of a worker at what is outside counts for LOOK_EVENTS, as there are about that
 * many tasks' turns between two. So a system that was full for a moment costs no worker for good,
 * and one that stays full costs next to nothing.
 *
 * Sources: Go's scheduler (spinning Ms) and tokio's (one searcher, "rewritten scheduler", 2019).
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/futex.h"
#include "task/offer.h"
#include "task/share.h"

#define WATCH_NS     WEFT_MS
#define WATCH_MAX_NS (8 * WEFT_MS)

/* As long as a worker always has newer ones, it begins its own oldest task after that time. More
   often, and trees of tasks would not be run depth first, and would need many times the memory. */
#define OLD_NS (100 * WEFT_MS)

enum { BATCH_MAX = 32, MANY = 256 };
enum { REFUSED_MIN = 64, REFUSED_MAX = 1 << 16, LOOK_EVENTS = 64 };

static struct worker *workers[WORKERS_MAX]; /* [0, joined): set before joined says so */
static uint32_t joined;                     /* atomic */
static unsigned workers_max;                /* constant after share_init(), as is the next */
static bool (*make_worker)(void);

static uint32_t refused; /* atomic: for how many events no worker is wished for; 0: none failed */
static uint32_t events;  /* atomic: counted while one has failed */
static uint32_t wish_at; /* atomic: the next one is wished for when there were so many */

static uint32_t searching; /* atomic: 1: a worker searches, or is woken to do so */
static uint32_t sleeping;  /* atomic: how many workers sleep, or are about to */
static uint32_t watched;   /* atomic: 1: a worker watches */

static struct guard guard; /* guards the queue outside */
static struct task *outside, **outside_end = &outside;
static uint32_t outside_count; /* changed under the guard, read without */

void share_init(unsigned max, bool (*make)(void))
{
    workers_max = max;
    make_worker = make;
}

void share_join(struct worker *worker)
{
    guard_lock(&guard);
    workers[joined] = worker;
    store_release(&joined, joined + 1); /* pairs with the acquire in share_workers() */
    guard_unlock(&guard);
}

unsigned share_workers_max(void)
{
    return workers_max;
}

unsigned share_workers(void)
{
    return load_acquire(&joined); /* pairs with the release in share_join() */
}

bool share_sleeps(unsigned number)
{
    /* acquire: pairs with the release in share_join(); relaxed: an answer about some moment */
    return number < load_acquire(&joined) &&
           load_relaxed(&workers[number]->asleep) == WORKER_ASLEEP;
}

bool share_any_sleeps(void)
{
    return load_relaxed(&sleeping); /* relaxed: as above */
}

/* Makes a sleeping worker search. False: none sleeps. */
static bool wake_one(void)
{
    unsigned n = share_workers();
    for (unsigned i = 0; i < n; i++) {
        uint32_t asleep = WORKER_ASLEEP;
        /* acq_rel: what was put happens before what the woken one does */
        if (!cas_acq_rel(&workers[i]->asleep, &asleep, WORKER_WOKEN_TO_SEARCH))
            continue;
        workers[i]->reactor->ops->wake(workers[i]->reactor);
        return true;
    }
    return false;
}

/* Whether a worker sleeps whom nobody has woken. */
static bool one_sleeps(void)
{
    unsigned n = share_workers();
    for (unsigned i = 0; i < n; i++)
        if (load_seq_cst(&workers[i]->asleep) == WORKER_ASLEEP) /* seq_cst: see the top */
            return true;
    return false;
}

static bool some_left(void)
{
    if (load_seq_cst(&outside_count)) /* seq_cst, both: in one order with going to sleep */
        return true;
    unsigned n = share_workers();
    for (unsigned i = 0; i < n; i++) {
        struct deque *deque = &workers[i]->deque;
        uint64_t top = load_seq_cst(&deque->top);
        if ((int64_t)(load_seq_cst(&deque->bottom) - top) > 0)
            return true;
    }
    return offers_stand();
}

/* relaxed, here and in the next two: numbers that order nothing, and may be a little off. */

/* Whether it is time to wish for one more worker, now that there were n more events. */
static bool wishes_for_worker(uint32_t n)
{
    if (load_relaxed(&joined) >= workers_max)
        return false;
    if (!load_relaxed(&refused))
        return true;
    uint32_t now = add_relaxed(&events, n) + n;
    return (int32_t)(now - load_relaxed(&wish_at)) >= 0;
}

static void note_refusal(void)
{
    uint32_t next = 2 * load_relaxed(&refused);
    next = next < REFUSED_MIN ? REFUSED_MIN : next > REFUSED_MAX ? REFUSED_MAX : next;
    store_relaxed(&wish_at, load_relaxed(&events) + next);
    store_relaxed(&refused, next);
}

static bool make_another(void)
{
    if (!make_worker()) {
        note_refusal();
        return false;
    }
    store_relaxed(&refused, 0);
    return true;
}

struct worker *share_worker(unsigned number)
{
    while (share_workers() <= number && wishes_for_worker(1) && make_another()) {
    }
    return workers[number % share_workers()];
}

/*
 * Has somebody search, if nobody does; may_make: else has one more worker made for it. False: it
 * had the mark, and found nobody.
 */
static bool find_searcher(bool may_make)
{
    uint32_t nobody = 0;
    /* relaxed, all: the caller's fence orders them */
    if (load_relaxed(&searching))
        return true;
    bool sleeper = load_relaxed(&sleeping);
    bool wish = may_make && !sleeper && wishes_for_worker(1);
    if (!sleeper && !wish)
        return true;
    if (!cas_seq_cst(&searching, &nobody, 1)) /* seq_cst: in one order with those of searchers */
        return true;
    if (wake_one())
        return true;
    store_seq_cst(&searching, 0); /* as above */
    return may_make && (wish || wishes_for_worker(0)) && make_another();
}

/* Something has been put, by a worker or another thread (NULL). lone: its maker will most likely
   take it in a moment; may_make: it is worth one more worker. */
static void tell(const struct worker *worker, bool lone, bool may_make)
{
    if (worker && workers_max == 1)
        return;                         /* there is nobody else */
    fence_seq_cst();                    /* pairs with the seq_cst stores in share_sleep() */
    if (lone && load_relaxed(&watched)) /* relaxed: the fence orders it */
        return;
    /* Whoever put a task while the mark was there has relied on it. */
    while (!find_searcher(may_make) && some_left() && one_sleeps()) {
    }
}

/* A task has been put; lone: into an empty deque. */
static void notify(const struct worker *worker, bool lone)
{
    tell(worker, lone, true);
}

void offers_tell(bool lone)
{
    tell(worker_current, lone, false); /* its tasks are where they are */
}

static void put_outside(struct task *task)
{
    task->next = NULL;
    guard_lock(&guard);
    *outside_end = task;
    outside_end = &task->next;
    store_relaxed(&outside_count, outside_count + 1); /* relaxed: the fence in notify() orders it */
    guard_unlock(&guard);
}

bool share_put(struct worker *worker, struct task *task)
{
    bool lone = worker && deque_count(&worker->deque) == 0;
    bool kept = worker && deque_push(&worker->deque, task);
    if (!kept)
        put_outside(task);
    notify(worker, lone);
    return !worker || (kept && deque_count(&worker->deque) < MANY);
}

/* Up to n of the first tasks outside, as a list. */
static struct task *take_outside(unsigned n)
{
    struct task *first = NULL, **end = &first;
    guard_lock(&guard);
    for (; n && outside; n--) {
        *end = outside;
        end = &outside->next;
        outside = outside->next;
        store_relaxed(&outside_count, outside_count - 1); /* relaxed: a guess, or seen in time */
    }
    if (!outside)
        outside_end = &outside;
    guard_unlock(&guard);
    *end = NULL;
    return first;
}

/* Puts a list into the worker's deque, which is empty, so that the first is taken first. */
static void keep(struct worker *worker, struct task *list)
{
    struct task *batch[BATCH_MAX];
    unsigned n = 0;
    for (; list; list = list->next)
        batch[n++] = list;
    while (n)
        deque_push(&worker->deque, batch[--n]);
}

/* The first task outside; a fair share of the others comes along. */
static struct task *take_share(struct worker *worker)
{
    uint32_t count = load_relaxed(&outside_count); /* relaxed: a guess */
    if (!count)
        return NULL;
    unsigned share = count / share_workers() + 1;
    struct task *first = take_outside(share < BATCH_MAX ? share : BATCH_MAX);
    if (first)
        keep(worker, first->next);
    return first;
}

static struct task *steal(struct worker *thief)
{
    unsigned n = share_workers();
    for (unsigned i = 1; i < n; i++) {
        struct worker *victim = workers[(thief->number + i) % n];
        struct task *task;
        while (deque_count(&victim->deque))
            if ((task = deque_steal(&victim->deque)))
                return task;
    }
    return NULL;
}

struct task *share_take(struct worker *worker, bool to_search)
{
    uint32_t nobody = 0;
    if (!to_search && !cas_seq_cst(&searching, &nobody, 1)) /* seq_cst: see the top */
        return NULL;
    struct task *task = take_share(worker);
    if (!task)
        task = steal(worker);
    bool found = task || offers_take(worker->number);
    store_seq_cst(&searching, 0); /* seq_cst: see the top */
    if (found)
        worker->watch_ns = 0;
    if (found && some_left())
        notify(worker, false);
    return task;
}

/* Whether the deque has not been empty, nor its oldest task been taken here, for OLD_NS. */
static bool has_old(struct worker *worker)
{
    if (!deque_count(&worker->deque)) {
        worker->old_since_ns = 0;
        return false;
    }
    int64_t now = time_coarse_ns();
    if (worker->old_since_ns && now - worker->old_since_ns < OLD_NS)
        return false;
    bool old = worker->old_since_ns;
    worker->old_since_ns = now;
    return old;
}

struct task *share_take_old(struct worker *worker)
{
    /* relaxed: a guess */
    if (load_relaxed(&refused) && some_left() && wishes_for_worker(LOOK_EVENTS))
        notify(worker, false);
    struct task *task = has_old(worker) ? deque_steal(&worker->deque) : NULL;
    if (!task && load_relaxed(&outside_count)) /* relaxed: a guess */
        task = take_outside(1);
    (void)offers_take(worker->number);
    return task;
}

/* The watcher sleeps a bounded time, the longer it has watched for nothing the longer. */
static weft_deadline watch_until(struct worker *worker)
{
    int64_t ns = 2 * worker->watch_ns;
    worker->watch_ns = ns < WATCH_NS ? WATCH_NS : ns > WATCH_MAX_NS ? WATCH_MAX_NS : ns;
    return weft_after(worker->watch_ns);
}

bool share_doze(struct worker *worker)
{
    /* seq_cst, all: see the top */
    store_seq_cst(&worker->asleep, WORKER_ASLEEP);
    add_seq_cst(&sleeping, 1);
    worker->dozes = true;
    return !load_seq_cst(&worker->inbox) && !some_left();
}

static bool rouse(struct worker *worker)
{
    worker->dozes = false;
    sub_acq_rel(&sleeping, 1); /* acq_rel: says nothing to anybody */
    /* acq_rel: pairs with the swap in wake_one() */
    return swap_acq_rel(&worker->asleep, WORKER_AWAKE) == WORKER_WOKEN_TO_SEARCH;
}

void share_rouse(struct worker *worker)
{
    if (!worker->dozes)
        return;
    if (rouse(worker))
        store_seq_cst(&searching, 0); /* seq_cst: see the top; it will look anyway */
}

/* Whether a worker that has just slept has been woken by what is its own: a time, or I/O. */
static bool has_own(const struct worker *worker)
{
    const struct timer *timer = timer_first(&worker->timers);
    return worker->ready || (timer && timer->at_ns <= weft_now());
}

/* Whether it has something to do before it searches. */
static bool is_busy(const struct worker *worker)
{
    return load_relaxed(&worker->inbox) || has_own(worker); /* relaxed: a guess */
}

/* The watcher stops. True: it shall search for what was left to it; or if it is busy, another. */
static bool end_watch(const struct worker *worker)
{
    store_seq_cst(&watched, 0); /* seq_cst: see the top */
    if (!some_left())
        return false;
    bool busy = is_busy(worker);
    if (busy)
        notify(worker, false);
    return !busy;
}

/*
 * The worker has just slept, and perhaps does something of its own first. Whoever has made an offer
 * may have taken it for asleep, and woken a task of it, which comes later, instead of telling
 * (pool/places.c).
 */
static void pass_offers_on(const struct worker *worker)
{
    if (!has_own(worker))
        return;
    fence_seq_cst(); /* pairs with the one in get_sleeper_up() */
    if (offers_stand())
        tell(worker, true, false);
}

bool share_sleep(struct worker *worker, weft_deadline deadline)
{
    bool nothing = share_doze(worker);
    uint32_t nobody = 0;
    /* seq_cst, all: see the top */
    bool watches = load_seq_cst(&sleeping) < share_workers() && cas_seq_cst(&watched, &nobody, 1);
    if (watches)
        deadline = weft_sooner(deadline, watch_until(worker));
    if (nothing && watches)
        nothing = !some_left();
    if (nothing)
        worker->reactor->ops->wait(worker->reactor, deadline);
    bool woken = rouse(worker);
    bool found = watches && end_watch(worker);
    if (!woken && !found)
        pass_offers_on(worker);
    /* What is left is taken even if another was woken for it, who may be long in coming. */
    return woken || found || (!nothing && !is_busy(worker));
}
