/* SPDX-License-Identifier: MIT */
/*
 * park/hold.c: what a strand lets go of while it blocks.
 *
 * In what order: taking back follows the order in which things were taken, so that strands that
 * agree on one do not wait for each other in a circle. For the same reason nothing is let go of
 * that was taken before something that is kept: it would have to be taken after that.
 *
 * A strand may end while it holds something. Whoever runs calls looks after each of them, and at
 * the end of a task; for threads that weft did not make a value under a key has a destructor.
 */
#include <pthread.h>

#include "park/hold.h"

static pthread_key_t end_key;
static int end_key_error;
static pthread_once_t end_once = PTHREAD_ONCE_INIT;

static void on_end(void *record)
{
    struct strand *self = record;
    self->ends_watched = false; /* what other destructors take is abandoned in the next round */
    hold_abandon(self, 0);
}

static void make_end_key(void)
{
    end_key_error = pthread_key_create(&end_key, on_end);
}

/* Where the system has no key left nobody looks. */
void hold_watch_end(struct strand *self)
{
    self->ends_watched = true;
    if (self->ops == &thread_ops && pthread_once(&end_once, make_end_key) == 0 && !end_key_error)
        (void)pthread_setspecific(end_key, self);
}

void hold_let_go_slow(struct strand *self, struct hold_away *away)
{
    for (struct hold *hold; (hold = self->hold) && hold->lets_go && away->n < HOLD_MAX;) {
        away->what[away->n++] = hold;
        hold_remove(self, hold);
        hold->ops->let_go(hold, self); /* from here on it is another's */
    }
}

void hold_take_back_slow(struct strand *self, struct hold_away *away)
{
    while (away->n) {
        struct hold *hold = away->what[--away->n];
        const struct hold_ops *ops =
            load_relaxed(&hold->ops); /* relaxed: another may set it again */
        ops->take_back(hold, self);
    }
}

void hold_abandon(struct strand *self, unsigned keep)
{
    while (self->holds > keep) {
        struct hold *hold = self->hold;
        hold_remove(self, hold);
        hold->ops->abandon(hold, self);
    }
}
