/* SPDX-License-Identifier: MIT */
/* Kind processes: worker processes with many connections each, as their parent sees them.
 *
 *     driver --- errand (a task per URL) --- hand (a worker process) --- its tasks (crew_work.c)
 *
 * The driver knows nothing of processes: its calls are errands, tasks of this process that only
 * wait. An errand goes to the hand that has least to do, which is told by an order, in a queue in
 * shared memory, and answers through another. Which errand is with which hand, in which slot, is
 * written down here, and nowhere else. So when a hand dies it is known exactly which errands go
 * with it: those that it took and did not answer. These end as FAILURE_WORKER, and the driver tries
 * them again; orders that the dead did not take are given to another hand, as if nothing had been.
 * An answer that was sent before the death counts.
 *
 * A hand's processes, one after the other, each with queues of its own, are looked after by a
 * thread: it collects answers until the process has ended and no more are in the queue, then ends
 * what is left, and begins the next life.
 *
 * A hand is given up when its process says that it cannot work, or if STILLBORN_MAX in a row die
 * before they are ready. When none is left, errands fail with what the last one said.
 *
 * The lock guards everything but what is constant after crew_open(). It is held while an order is
 * put, which never waits, as there is room for all. */
#include "crew.h"

#include "crew_work.h"
#include "saver.h"
#include "verdict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STILLBORN_MAX = 8 };

/* Of one URL; on the stack of its task. What its end was is written before `over` is set. */
struct errand {
    struct task *task; /* in shared memory */
    weft_event over;
    struct result *result; /* owned, in shared memory; NULL: the verdict, or the error */
    size_t bytes;
    union verdict verdict;
    int error;
    bool untaken; /* the hand died before it took the order */
};

struct hand {
    struct crew *crew; /* constant */
    struct post post;
    weft_future *life;       /* of the call that the process runs; NULL: there is none */
    bool ready;              /* for orders */
    struct errand **errands; /* by slot; NULL: none */
    uint32_t *vacant;        /* the slots that have none */
    uint32_t vacant_count;
};

struct crew {
    const struct settings *settings; /* constant, as are the next four */
    uint32_t hands_count;
    uint32_t orders_max; /* that a hand may have */
    weft_pool *pool;
    weft_group *keepers;
    weft_lock lock;
    weft_condition room; /* a hand has room, or never will */
    bool ending;         /* nothing begins any more */
    uint32_t hands_left; /* not given up */
    char text[160];      /* why the last one was */
    struct deaths deaths;
    struct hand hands[];
};

/* ---- errands */

/* Takes the errand out of its slot. Under the lock. */
static struct errand *vacate(struct hand *hand, uint32_t slot)
{
    struct errand *errand = hand->errands[slot];

    hand->errands[slot] = NULL;
    hand->vacant[hand->vacant_count++] = slot;
    return errand;
}

/* The one that has room and least to do; NULL: none has room. Under the lock. */
static struct hand *least_busy(struct crew *crew)
{
    struct hand *best = NULL;

    for (uint32_t i = 0; i < crew->hands_count; i++) {
        struct hand *hand = &crew->hands[i];
        if (hand->ready && hand->vacant_count > (best != NULL ? best->vacant_count : 0))
            best = hand;
    }
    return best;
}

/* Waits for a hand with room. 0; -ECANCELED; -ENODEV: there is no hand left. Under the lock, which
 * is not held meanwhile. */
static int find_hand(struct crew *crew, struct hand **ret)
{
    while ((*ret = least_busy(crew)) == NULL && !crew->ending && crew->hands_left > 0) {
        int rc = weft_condition_wait(&crew->room, &crew->lock, WEFT_FOREVER);
        if (rc < 0)
            return rc;
    }
    if (crew->ending)
        return -ECANCELED;
    return *ret != NULL ? 0 : -ENODEV;
}

/* Returns whether a hand has it; if not, that is the errand's end. */
static bool place(struct crew *crew, struct errand *errand)
{
    struct hand *hand;

    weft_lock_lock(&crew->lock);
    int rc = find_hand(crew, &hand);
    if (rc == 0) {
        struct order order = { errand->task, hand->vacant[hand->vacant_count - 1] };
        rc = weft_queue_put(hand->post.orders, &order, WEFT_NOW);
        if (rc == 0) {
            hand->vacant_count--;
            hand->errands[order.slot] = errand;
        }
    }
    if (rc == -ENODEV)
        verdict_make(&errand->verdict, FAILURE_OTHER, "%s", crew->text);
    else
        errand->error = rc;
    weft_lock_release(&crew->lock);
    return rc == 0;
}

/* Returns when nobody will touch the errand any more. */
static void wait_until_over(struct crew *crew, struct errand *errand)
{
    weft_scope shield;

    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    (void)!weft_event_wait(&errand->over, WEFT_FOREVER);
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
    weft_shared_free(errand.task);
    return report(call, &errand);
}

/* ---- a hand's answers, and its end */

static void take_answer(struct hand *hand, const struct answer *answer)
{
    struct crew *crew = hand->crew;

    weft_lock_lock(&crew->lock);
    if (answer->slot == SLOT_READY) {
        hand->ready = true;
        weft_condition_notify(&crew->room, UINT32_MAX);
    } else if (answer->slot < crew->orders_max && hand->errands[answer->slot] != NULL) {
        struct errand *errand = vacate(hand, answer->slot);
        errand->result = answer->result;
        errand->bytes = answer->bytes;
        errand->error = answer->result != NULL ? 0 : answer->error;
        weft_event_set(&errand->over);
        weft_condition_notify(&crew->room, 1);
    }
    weft_lock_release(&crew->lock);
}

/* Takes answers until the process has ended and there are no more. Returns whether it was ever
 * ready. */
static bool collect(struct hand *hand)
{
    struct answer answer;
    bool ready = false;
    weft_case cases[] = {
        { .op = WEFT_GET, .on.queue = hand->post.answers, .item = &answer },
        { .op = WEFT_ENDED, .on.future = hand->life },
    };

    while (weft_select(cases, sizeof cases / sizeof cases[0], WEFT_FOREVER) == 0) {
        ready = true;
        take_answer(hand, &answer);
    }
    while (weft_queue_get(hand->post.answers, &answer, WEFT_NOW) == 0) {
        ready = true;
        take_answer(hand, &answer);
    }
    return ready;
}

/* What the process did not take goes to another. Under the lock. */
static void take_orders_back(struct hand *hand)
{
    struct order order;

    while (weft_queue_get(hand->post.orders, &order, WEFT_NOW) == 0) {
        struct errand *errand = vacate(hand, order.slot);
        errand->untaken = true;
        weft_event_set(&errand->over);
    }
}

static void judge(const struct hand *hand, const weft_outcome *outcome, struct errand *errand)
{
    union verdict *verdict = &errand->verdict;

    if (hand->crew->ending)
        errand->error = -ECANCELED;
    else if (outcome->how != WEFT_CRASHED)
        verdict_make(verdict, FAILURE_OTHER, "%s",
                     outcome->text[0] != '\0' ? outcome->text : weft_strerror(outcome->status));
    else if (outcome->signal != 0)
        verdict_make(verdict, FAILURE_WORKER, "its worker process was killed by signal %d (%s)",
                     outcome->signal, strsignal(outcome->signal));
    else
        verdict_make(verdict, FAILURE_WORKER, "its worker process ended with exit code %d",
                     outcome->exit_code);
    verdict->result.process = hand->post.number + 1;
}

/* Ends all that the process has taken and not answered, and removes what it left half-written.
 * Under the lock. */
static void lose_errands(struct hand *hand, const weft_outcome *outcome)
{
    const struct plan *plan = &hand->crew->settings->plan;

    for (uint32_t slot = 0; slot < hand->crew->orders_max; slot++) {
        if (hand->errands[slot] == NULL)
            continue;
        struct errand *errand = vacate(hand, slot);
        saver_sweep(plan->directory_fd, plan->run, errand->task->number);
        judge(hand, outcome, errand);
        weft_event_set(&errand->over);
    }
}

/* Under the lock. */
static void count_death(struct crew *crew, const weft_outcome *outcome)
{
    struct deaths *deaths = &crew->deaths;

    if (crew->ending || outcome->how != WEFT_CRASHED)
        return;
    deaths->signal = deaths->count == 0 || deaths->signal == outcome->signal ? outcome->signal : 0;
    deaths->count++;
}

/* Under the lock. */
static void give_up(struct crew *crew, int error, const char *text)
{
    crew->hands_left--;
    snprintf(crew->text, sizeof crew->text, "%s", text[0] != '\0' ? text : weft_strerror(error));
    weft_condition_notify(&crew->room, UINT32_MAX);
}

/* ---- a hand's processes, one after the other */

/* What is still in a queue goes with it. */
static void close_post(struct post *post)
{
    weft_queue_close(post->orders);
    weft_queue_close(post->answers);
    post->orders = post->answers = NULL;
}

static int open_post(const struct crew *crew, struct post *post)
{
    int rc = weft_queue_open(&post->orders, sizeof(struct order), crew->orders_max, WEFT_SHARED);

    if (rc == 0)
        rc = weft_queue_open(&post->answers, sizeof(struct answer), (size_t)crew->orders_max + 1,
                             WEFT_SHARED);
    if (rc < 0)
        close_post(post);
    return rc;
}

static int begin_life(struct hand *hand)
{
    struct crew *crew = hand->crew;
    int rc = open_post(crew, &hand->post);

    if (rc < 0)
        return rc;
    weft_lock_lock(&crew->lock);
    if (crew->ending)
        rc = -ECANCELED;
    else
        rc = weft_pool_submit(crew->pool, crew_work, &hand->post, sizeof hand->post, &hand->life,
                              WEFT_FOREVER);
    weft_lock_release(&crew->lock);
    if (rc < 0)
        close_post(&hand->post);
    return rc;
}

/* Under the lock. */
static void end_life(struct hand *hand, const weft_outcome *outcome)
{
    hand->ready = false;
    count_death(hand->crew, outcome);
    take_orders_back(hand);
    lose_errands(hand, outcome);
    weft_future_close(hand->life);
    hand->life = NULL;
    close_post(&hand->post);
}

/* One life. 0: there can be another; or why not, with a text, maybe "". */
static int live(struct hand *hand, uint32_t *stillborn, char *text, size_t size)
{
    struct crew *crew = hand->crew;
    int rc = begin_life(hand);

    if (rc < 0)
        return rc;
    *stillborn = collect(hand) ? 0 : *stillborn + 1;
    weft_lock_lock(&crew->lock);
    const weft_outcome *outcome = weft_future_outcome(hand->life);
    if (outcome->how != WEFT_CRASHED || *stillborn == STILLBORN_MAX)
        rc = outcome->status < 0 ? outcome->status : -ECHILD;
    snprintf(text, size, "%s", outcome->text);
    end_life(hand, outcome);
    weft_lock_release(&crew->lock);
    return rc;
}

/* A thread. */
static int keep(weft_call *call)
{
    struct hand *hand = *(struct hand *const *)call->arg;
    struct crew *crew = hand->crew;
    uint32_t stillborn = 0; /* lives in a row that ended before the process was ready */
    char text[sizeof crew->text] = "";
    int rc;

    while ((rc = live(hand, &stillborn, text, sizeof text)) == 0)
        ;
    weft_lock_lock(&crew->lock);
    give_up(crew, rc, text);
    weft_lock_release(&crew->lock);
    return 0;
}

/* ---- the crew */

static int open_hand(struct crew *crew, uint32_t number)
{
    struct hand *hand = &crew->hands[number];

    *hand = (struct hand){ .crew = crew, .post.number = number };
    hand->errands = calloc(crew->orders_max, sizeof(struct errand *));
    hand->vacant = calloc(crew->orders_max, sizeof(uint32_t));
    if (hand->errands == NULL || hand->vacant == NULL)
        return -ENOMEM;
    for (uint32_t slot = 0; slot < crew->orders_max; slot++)
        hand->vacant[hand->vacant_count++] = slot;
    return 0;
}

static int open_hands(struct crew *crew)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < crew->hands_count; i++)
        rc = open_hand(crew, i);
    for (uint32_t i = 0; rc == 0 && i < crew->hands_count; i++) {
        struct hand *hand = &crew->hands[i];
        rc = weft_group_start(crew->keepers, keep, &hand, sizeof(struct hand *));
    }
    return rc;
}

static int open_pool(struct crew *crew)
{
    const struct plan *plan = &crew->settings->plan;
    int rc = weft_pool_open(&crew->pool, WEFT_PROCESSES,
                            &(weft_options){ .name = "fetch",
                                             .workers = crew->hands_count,
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
    for (uint32_t i = 0; !crew->ending && i < crew->hands_count; i++)
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

static void join(weft_group *group)
{
    weft_scope shield;

    if (group == NULL)
        return;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    (void)!weft_group_join(group, WEFT_FOREVER);
    weft_scope_leave(&shield);
    weft_group_close(group);
}

void crew_close(struct crew *crew)
{
    if (crew == NULL)
        return;
    dismiss(crew);
    join(crew->keepers);
    weft_pool_close(crew->pool);
    for (uint32_t i = 0; i < crew->hands_count; i++) {
        free(crew->hands[i].errands);
        free(crew->hands[i].vacant);
    }
    free(crew);
}

void crew_deaths(struct crew *crew, struct deaths *ret)
{
    weft_lock_lock(&crew->lock);
    *ret = crew->deaths;
    weft_lock_release(&crew->lock);
}
