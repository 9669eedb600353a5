/* SPDX-License-Identifier: MIT */
/*
 * park/hold.h: what a strand holds that others may want while it sleeps: a global interpreter lock.
 *
 * A strand's list of them, the innermost first, is its own. Some are let go of while the strand
 * blocks and taken back after. A wait does that by itself (park_wait_then()), when it is wholly
 * over: until then whoever ends the wait would end the one for taking it back instead. What blocks
 * otherwise, or is over only after several waits, does it around all of that:
 *
 *     struct hold_away away;
 *     away.n = 0;
 *     hold_let_go(self, &away);
 *     ...
 *     hold_take_back(self, &away);
 */
#ifndef WEFT_PARK_HOLD_H
#define WEFT_PARK_HOLD_H

#include "park/strand.h"

enum { HOLD_MAX = 8 }; /* that a strand takes; what it takes back may make it more */

struct hold_ops {
    /* Gives it up, by its strand, which no longer has it on its list. Never waits. */
    void (*let_go)(struct hold *hold, struct strand *self);

    /* Takes it, whatever that takes, and puts it on the strand's list. */
    void (*take_back)(struct hold *hold, struct strand *self);

    /* The same as let_go, for good: the strand ends, or the call that has taken it. */
    void (*abandon)(struct hold *hold, struct strand *self);
};

/* In what is held; the holder's, but for lets_go. */
struct hold {
    const struct hold_ops *ops; /* atomic: each holder sets the same */
    struct hold *outer;         /* what the strand had taken before */
    bool lets_go;               /* while its strand blocks; constant */
};

/* What was let go of, the innermost first. Begins with n = 0. */
struct hold_away {
    size_t n;
    struct hold *what[HOLD_MAX];
};

void hold_let_go_slow(struct strand *self, struct hold_away *away);
void hold_take_back_slow(struct strand *self, struct hold_away *away);

/* Lets go of what is not to be kept while the strand blocks: up to the first that is. */
static inline void hold_let_go(struct strand *self, struct hold_away *away)
{
    if (self->hold)
        hold_let_go_slow(self, away);
}

/* Takes it back, in the order in which it was taken first. Ignores cancellation. */
static inline void hold_take_back(struct strand *self, struct hold_away *away)
{
    if (away->n)
        hold_take_back_slow(self, away);
}

/* From now on, what a thread holds when it ends is abandoned. Other kinds of strand see to that. */
void hold_watch_end(struct strand *self);

/* Puts one on the strand's list, and takes one off, wherever it stands. */
static inline void hold_add(struct strand *self, struct hold *hold)
{
    if (!self->ends_watched)
        hold_watch_end(self);
    hold->outer = self->hold;
    self->hold = hold;
    self->holds++;
}

static inline void hold_remove(struct strand *self, const struct hold *hold)
{
    struct hold **place = &self->hold;
    while (*place != hold)
        place = &(*place)->outer;
    *place = hold->outer;
    self->holds--;
}

/* Abandons what was taken last until the strand holds no more than so many. */
void hold_abandon(struct strand *self, unsigned keep);

#endif
