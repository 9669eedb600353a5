/* SPDX-License-Identifier: MIT */
/*
 * base/participants.h: the processes that use the shared range, and which of them are dead.
 *
 * Whoever leaves something half done in shared memory, a lock held, a turn taken, writes beside it
 * which process it is. Others who wait for it look whether that one still lives, and are told of
 * every death by the death epoch: a word of shared memory that changes with each, and that every
 * wait in shared memory watches.
 *
 *     epoch = death_epoch();                    first, so that no death slips in between
 *     if (participant_is_dead(owner)) ...       then look
 *     ... wait, unless the epoch is another by now
 *
 * A participant's number is never zero and fits PARTICIPANT_BITS; it is not used again before half
 * a milliard others have been.
 */
#ifndef WEFT_BASE_PARTICIPANTS_H
#define WEFT_BASE_PARTICIPANTS_H

#include <sys/types.h>

#include "base/atomic.h"

enum { PARTICIPANT_SLOT_BITS = 13, PARTICIPANT_GENERATION_BITS = 16, PARTICIPANT_BITS = 29 };

/* The most processes that live at a time. */
#define PARTICIPANTS_MAX (1u << PARTICIPANT_SLOT_BITS)

struct participant {
    uint32_t state; /* atomic: the generation, and in the lowest bit whether it lives */
    int32_t pid;    /* valid while it lives, as is the next; for participants_bury_family() */
    int32_t parent; /* the zygote */
};

/* In the header of the shared range; zero at first. */
struct participants {
    uint32_t epoch __attribute__((aligned(64))); /* atomic: changes with every death */
    uint32_t next __attribute__((aligned(64)));  /* atomic: where a free slot is looked for */
    struct participant slots[PARTICIPANTS_MAX];
};

/* The one of the shared range; until weft_init() one that nobody else sees. */
extern struct participants *participants __attribute__((visibility("hidden")));

/* The number of this process; 0: it has none. */
extern uint32_t participant_self __attribute__((visibility("hidden")));

static inline uint32_t death_epoch(void)
{
    /* acquire: pairs with the release in participant_bury(); the dead it tells of are seen dead */
    return load_acquire(&participants->epoch);
}

bool participant_is_dead(uint32_t number);

/*
 * From now on the table is that one, zeroed memory that all share, and this process is the first in
 * it; NULL: none any more.
 */
void participants_open(struct participants *table);

/* The same where the table is in use, and this process has a number in it: it has mapped the range
 * anew. */
void participants_adopt(struct participants *table, uint32_t number);

/*
 * Takes a slot for a process to be. By the program before it forks the zygote, then by zygotes.
 * Returns its number; 0: PARTICIPANTS_MAX live.
 */
uint32_t participant_add(void);

/* The calling process is that participant. */
void participant_become(uint32_t number);

/* It has ended, or has never begun: marks it dead, and makes all waits in shared memory look. */
void participant_bury(uint32_t number);

/*
 * In the program, when a zygote has died, and with it all its children: buries them in its stead,
 * once they have ended. The zygote is known by one of its children; nothing is done if that is
 * buried already. In another process it does nothing: that is about to end, too.
 */
void participants_bury_family(pid_t child, void (*wait_for_end)(pid_t pid));

#endif
