/* SPDX-License-Identifier: MIT */
/* Kind processes: worker processes with many connections each, as their parent sees them.
 *
 *     driver --- errand (a task per URL) --- hand (a worker process) --- its tasks (crew_work.c)
 *
 * The driver knows nothing of processes: its calls are errands, tasks of this process that only
 * wait. An errand goes to the hand that has least to do, which is told by an order, in a queue in
 * shared memory, and answers through another. Which errand is with which hand is written down here,
 * and nowhere else, so that when a process dies it is known what it takes along (hand.c).
 *
 * Of a process that dies with many errands nobody knows which one it died of. So the last attempt
 * that a URL has, after the one before has died, is made alone: its errand reserves a hand and
 * waits until that has nothing else. A URL that kills its process is found like that, and one that
 * was only near it is not blamed.
 *
 * The lock guards everything but what is constant after crew_open(). It is held while an order is
 * put, which never waits, as there is room for all. */
#include "crew.h"

#include "hand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- errands */

/* A process that has not answered by so much after the attempt's own time-out is hung. */
#define HUNG_NS (10 * WEFT_S)

/* SIGTERM ends a process at once, unless it is stopped. */
#define GRACE_NS (200 * WEFT_MS)

/* How long processes may take to close their connections at the end. */
#define GOODBYE_NS (2 * WEFT_S)

static bool idle(const struct hand *hand)
{
    return hand->vacant_count == hand->crew->orders_max;
}

/* Of those that everybody may give orders to, the one that has least to do. NULL: none. */
static struct hand *least_busy(struct crew *crew)
{
    struct hand *best = NULL;

    for (uint32_t i = 0; i < crew->hands_count; i++) {
        struct hand *hand = &crew->hands[i];
        if (hand->ready && hand->alone == NULL &&
            (best == NULL || hand->vacant_count > best->vacant_count))
            best = hand;
    }
    return best;
}

/* The hand that an errand can go to now. NULL: none. */
static struct hand *with_others(struct crew *crew)
{
    struct hand *hand = least_busy(crew);

    return hand != NULL && hand->vacant_count > 0 ? hand : NULL;
}

/* The same for one that must be alone there. It reserves a hand until it is over, and then waits
 * for the others that are there. */
static struct hand *all_alone(struct crew *crew, struct errand *errand)
{
    struct hand *hand = errand->reserved;

    if (hand == NULL || hand->given_up) {
        hand = errand->reserved = least_busy(crew);
        if (hand != NULL)
            hand->alone = errand;
    }
    return hand != NULL && hand->ready && idle(hand) ? hand : NULL;
}

static struct hand *choose(struct crew *crew, struct errand *errand)
{
    return errand->task->alone ? all_alone(crew, errand) : with_others(crew);
}

/* Waits for a hand. 0; -ECANCELED; -ENODEV: there is none left. Under the lock, which is not held
 * meanwhile. */
static int find_hand(struct crew *crew, struct errand *errand, struct hand **ret)
{
    while (!crew->ending && crew->hands_left > 0) {
        *ret = choose(crew, errand);
        if (*ret != NULL)
            return 0;
        int rc = weft_condition_wait(&crew->room, &crew->lock, WEFT_FOREVER);
        if (rc < 0)
            return rc;
    }
    return crew->ending ? -ECANCELED : -ENODEV;
}

/* Returns whether a hand has it; if not, that is the errand's end. */
static bool place(struct crew *crew, struct errand *errand)
{
    struct hand *hand;

    weft_lock_lock(&crew->lock);
    int rc = find_hand(crew, errand, &hand);
    if (rc == 0)
        rc = hand_order(hand, errand);
    if (rc == -ENODEV)
        verdict_make(&errand->verdict, FAILURE_OTHER, "%s", crew->text);
    else
        errand->error = rc;
    weft_lock_release(&crew->lock);
    return rc == 0;
}

static void let_others_in(struct crew *crew, struct errand *errand)
{
    if (errand->reserved == NULL)
        return;
    weft_lock_lock(&crew->lock);
    errand->reserved->alone = NULL;
    weft_condition_notify(&crew->room, UINT32_MAX);
    weft_lock_release(&crew->lock);
}

/* Returns when nobody will touch the errand any more. */
static void wait_until_over(struct crew *crew, struct errand *errand)
{
    int64_t timeout_ns = crew->settings->plan.timeout_ns;
    weft_deadline patience = timeout_ns > 0 ? weft_after(timeout_ns + HUNG_NS) : WEFT_FOREVER;
    weft_scope shield;

    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    if (weft_event_wait(&errand->over, patience) == -ETIMEDOUT) {
        hand_kill(crew, errand);
        (void)!weft_event_wait(&errand->over, WEFT_FOREVER);
    }
    weft_scope_leave(&shield);
    weft_lock_lock(&crew->lock); /* until whoever set it has let go */
    weft_event_clear(&errand->over);
    weft_lock_release(&crew->lock);
}

static int report(weft_call *call, struct errand *errand)
{
    int rc = errand->error;

    if (errand->result != NULL)
        rc = weft_call_return(call, errand->result, errand->bytes);
    else if (rc == 0)
        rc = weft_call_return(call, &errand->verdict, sizeof errand->verdict);
    weft_shared_free(errand->result);
    return rc;
}

int crew_errand(weft_call *call)
{
    struct crew *crew = *(struct crew *const *)call->context;
    struct errand errand = { .task = weft_shared_alloc(call->arg_bytes) };

    if (errand.task == NULL)
        return -ENOMEM;
    memcpy(errand.task, call->arg, call->arg_bytes);
    do {
        errand.untaken = false;
        if (place(crew, &errand))
            wait_until_over(crew, &errand);
    } while (errand.untaken);
    let_others_in(crew, &errand);
    weft_shared_free(errand.task);
    return report(call, &errand);
}

/* ---- the crew */

static int open_hands(struct crew *crew)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < crew->hands_count; i++)
        rc = hand_open(&crew->hands[i], crew, i);
    for (uint32_t i = 0; rc == 0 && i < crew->hands_count; i++) {
        struct hand *hand = &crew->hands[i];
        rc = weft_group_start(crew->keepers, hand_keep, &hand, sizeof(struct hand *));
    }
    return rc;
}

static int open_pool(struct crew *crew)
{
    const struct plan *plan = &crew->settings->plan;
    int rc = weft_pool_open(&crew->pool, WEFT_PROCESSES,
                            &(weft_options){ .name = "fetch",
                                             .workers = crew->hands_count,
                                             .grace_ns = GRACE_NS,
                                             .context = plan,
                                             .context_bytes = sizeof *plan });

    if (rc == 0)
        rc = weft_group_open(&crew->keepers, WEFT_THREADS, &(weft_options){ .name = "keeper" });
    return rc;
}

int crew_open(struct crew **ret_crew, const struct settings *settings)
{
    size_t count = settings->processes;
    struct crew *crew = calloc(1, sizeof *crew + count * sizeof(struct hand));

    if (crew == NULL)
        return -ENOMEM;
    crew->settings = settings;
    crew->hands_count = crew->hands_left = (uint32_t)count;
    crew->orders_max = (uint32_t)settings_share(settings);
    int rc = open_pool(crew);
    if (rc == 0)
        rc = open_hands(crew);
    if (rc < 0) {
        crew_close(crew);
        return rc;
    }
    *ret_crew = crew;
    return 0;
}

void crew_stop(struct crew *crew)
{
    weft_lock_lock(&crew->lock);
    for (uint32_t i = 0; i < crew->hands_count; i++)
        if (crew->hands[i].life != NULL)
            weft_future_cancel(crew->hands[i].life);
    crew->ending = true;
    weft_condition_notify(&crew->room, UINT32_MAX);
    weft_lock_release(&crew->lock);
}

/* Those that are ready end by themselves, with their connections closed properly. */
static void dismiss(struct crew *crew)
{
    weft_lock_lock(&crew->lock);
    for (uint32_t i = 0; !crew->ending && i < crew->hands_count; i++) {
        struct hand *hand = &crew->hands[i];
        if (hand->ready)
            weft_queue_shutdown(hand->post.orders, false);
        else if (hand->life != NULL)
            weft_future_cancel(hand->life);
    }
    crew->ending = true;
    weft_lock_release(&crew->lock);
}

/* Waits until all have ended; kills those that take longer than they should. */
static void join(struct crew *crew)
{
    weft_scope shield;

    if (crew->keepers == NULL)
        return;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    if (weft_group_join(crew->keepers, weft_after(GOODBYE_NS)) == -ETIMEDOUT) {
        crew_stop(crew);
        (void)!weft_group_join(crew->keepers, WEFT_FOREVER);
    }
    weft_scope_leave(&shield);
    weft_group_close(crew->keepers);
}

void crew_close(struct crew *crew)
{
    if (crew == NULL)
        return;
    dismiss(crew);
    join(crew);
    weft_pool_close(crew->pool);
    for (uint32_t i = 0; i < crew->hands_count; i++)
        hand_close(&crew->hands[i]);
    free(crew);
}

void crew_deaths(struct crew *crew, struct deaths *ret)
{
    weft_lock_lock(&crew->lock);
    *ret = crew->deaths;
    weft_lock_release(&crew->lock);
}
