/* SPDX-License-Identifier: MIT */
/* A hand of the crew: a worker process, and its successor when it dies, as their parent sees them.
 *
 * A hand's processes, one after the other, each with queues of its own, are looked after by a
 * thread: it collects answers until the process has ended and no more are in the queue, then ends
 * what is left, and begins the next life.
 *
 * What is left when a process has died: an answer that it sent before counts; orders that it did
 * not take are placed again, as if nothing had been; what it took and did not answer has ended as
 * FAILURE_WORKER, and the driver tries it again.
 *
 * A hand is given up when its process says that it cannot work, or if STILLBORN_MAX in a row die
 * before they are ready. When none is left, errands fail with what the last one said. */
#include "hand.h"

#include "saver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STILLBORN_MAX = 8 };

/* Takes the errand out of its slot. NULL: there is none, whatever the process may have written.
 * Under the lock. */
static struct errand *vacate(struct hand *hand, uint32_t slot)
{
    struct errand *errand = slot < hand->crew->orders_max ? hand->errands[slot] : NULL;

    if (errand == NULL)
        return NULL;
    errand->with = NULL;
    hand->errands[slot] = NULL;
    hand->vacant[hand->vacant_count++] = slot;
    return errand;
}

int hand_order(struct hand *hand, struct errand *errand)
{
    struct order order = { errand->task, hand->vacant[hand->vacant_count - 1] };
    int rc = weft_queue_put(hand->post.orders, &order, WEFT_NOW);

    if (rc < 0)
        return rc;
    hand->vacant_count--;
    hand->errands[order.slot] = errand;
    errand->with = hand;
    return 0;
}

void hand_kill(struct crew *crew, struct errand *errand)
{
    weft_lock_lock(&crew->lock);
    if (errand->with != NULL) {
        errand->with->hung = true;
        weft_future_cancel(errand->with->life);
    }
    weft_lock_release(&crew->lock);
}

/* ---- a hand's answers, and its end */

static void take_answer(struct hand *hand, const struct answer *answer)
{
    struct crew *crew = hand->crew;

    weft_lock_lock(&crew->lock);
    struct errand *errand = vacate(hand, answer->slot);
    if (answer->slot == SLOT_READY) {
        hand->ready = true;
    } else if (errand != NULL) {
        errand->result = answer->result;
        errand->bytes = answer->bytes;
        errand->error = answer->result != NULL ? 0 : answer->error;
        weft_event_set(&errand->over);
    }
    weft_condition_notify(&crew->room, UINT32_MAX); /* they do not all wait for the same */
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
        if (errand == NULL)
            continue;
        errand->untaken = true;
        weft_event_set(&errand->over);
    }
}

static void judge(const struct hand *hand, const weft_outcome *outcome, struct errand *errand)
{
    union verdict *verdict = &errand->verdict;

    if (hand->crew->ending)
        errand->error = -ECANCELED;
    else if (hand->hung)
        verdict_make(verdict, FAILURE_WORKER, "its worker process was hung, and was killed");
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
        struct errand *errand = vacate(hand, slot);
        if (errand == NULL)
            continue;
        saver_sweep(plan->directory_fd, plan->run, errand->task->number);
        judge(hand, outcome, errand);
        weft_event_set(&errand->over);
    }
}

/* Whether another process can take its place. */
static bool died(const struct hand *hand, const weft_outcome *outcome)
{
    return outcome->how == WEFT_CRASHED || hand->hung;
}

/* Under the lock. */
static void count_death(struct hand *hand, const weft_outcome *outcome)
{
    struct deaths *deaths = &hand->crew->deaths;
    int signal = hand->hung ? 0 : outcome->signal;

    if (hand->crew->ending || !died(hand, outcome))
        return;
    deaths->signal = deaths->count == 0 || deaths->signal == signal ? signal : 0;
    deaths->count++;
}

/* Under the lock. */
static void give_up(struct hand *hand, int error, const char *text)
{
    struct crew *crew = hand->crew;

    hand->given_up = true;
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
    count_death(hand, outcome);
    take_orders_back(hand);
    lose_errands(hand, outcome);
    weft_future_close(hand->life);
    hand->life = NULL;
    hand->hung = false;
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
    if (!died(hand, outcome) || *stillborn == STILLBORN_MAX)
        rc = outcome->status < 0 ? outcome->status : -ECHILD;
    snprintf(text, size, "%s", outcome->text);
    end_life(hand, outcome);
    weft_lock_release(&crew->lock);
    return rc;
}

/* A thread. */
int hand_keep(weft_call *call)
{
    struct hand *hand = *(struct hand *const *)call->arg;
    struct crew *crew = hand->crew;
    uint32_t stillborn = 0; /* lives in a row that ended before the process was ready */
    char text[sizeof crew->text] = "";
    int rc;

    while ((rc = live(hand, &stillborn, text, sizeof text)) == 0)
        ;
    weft_lock_lock(&crew->lock);
    give_up(hand, rc, text);
    weft_lock_release(&crew->lock);
    return 0;
}

/* ---- opened and closed */

int hand_open(struct hand *hand, struct crew *crew, uint32_t number)
{
    *hand = (struct hand){ .crew = crew, .post.number = number };
    hand->errands = calloc(crew->orders_max, sizeof(struct errand *));
    hand->vacant = calloc(crew->orders_max, sizeof(uint32_t));
    if (hand->errands == NULL || hand->vacant == NULL)
        return -ENOMEM;
    for (uint32_t slot = 0; slot < crew->orders_max; slot++)
        hand->vacant[hand->vacant_count++] = slot;
    return 0;
}

void hand_close(struct hand *hand)
{
    free(hand->errands);
    free(hand->vacant);
}
