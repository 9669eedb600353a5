/* SPDX-License-Identifier: MIT */
/*
 * base/participants.c: a table of those who share memory.
 *
 * A number is a slot and its generation, so that a number that is found in some lock's word years
 * later still means that one process, and not who has its slot now. Slots are taken in turn, so
 * that a generation lasts.
 *
 *   state: 0 --add--> generation 1, lives --bury--> generation 1, dead --add--> generation 2, ...
 *
 * The zygote adds (each of them, if there are several: a slot is taken by a compare-and-swap). It
 * also buries, when it has reaped a child: then nothing that the child wrote can come any more.
 * Should a zygote itself die, its children die with it, and the program buries them when it finds
 * that, by several strands perhaps; so a burial is a compare-and-swap.
 */
#include <limits.h>
#include <unistd.h>

#include "base/futex.h"
#include "base/participants.h"
#include "base/shared_range.h"

char *shared_begin;
size_t shared_bytes;
void *(*shared_alloc)(size_t bytes);
void (*shared_free)(void *memory);

static struct participants nobody_else;
struct participants *participants = &nobody_else;
uint32_t participant_self;

/* The first to be added, which outlives all others. */
enum { PROGRAM = 0 };

enum { LIVES = 1, GENERATION_MASK = (1 << PARTICIPANT_GENERATION_BITS) - 1 };

_Static_assert((int)PARTICIPANT_SLOT_BITS + (int)PARTICIPANT_GENERATION_BITS == PARTICIPANT_BITS,
               "a number is a slot and a generation");

static struct participant *slot_of(uint32_t number)
{
    return &participants->slots[number & (PARTICIPANTS_MAX - 1)];
}

static uint32_t living(uint32_t number)
{
    return number >> PARTICIPANT_SLOT_BITS << 1 | LIVES;
}

bool participant_is_dead(uint32_t number)
{
    /* acquire: pairs with the release in participant_bury(); what the dead one wrote is seen */
    return load_acquire(&slot_of(number)->state) != living(number);
}

uint32_t participant_add(void)
{
    for (uint32_t tries = 0; tries < PARTICIPANTS_MAX; tries++) {
        /* relaxed: a number only, which no other adder has before all slots were tried */
        uint32_t at = add_relaxed(&participants->next, 1) & (PARTICIPANTS_MAX - 1);
        struct participant *slot = &participants->slots[at];
        uint32_t state = load_relaxed(&slot->state); /* relaxed: the swap checks it */
        if (state & LIVES)
            continue;
        uint32_t generation = ((state >> 1) + 1) & GENERATION_MASK;
        generation += !generation;    /* 0 would make a number of 0 */
        store_relaxed(&slot->pid, 0); /* relaxed, both: published by the next */
        store_relaxed(&slot->parent, 0);
        /* release: pairs with the acquires of those who look; they have the number from its bearer
           anyway */
        if (cas_release(&slot->state, &state, generation << 1 | LIVES))
            return generation << PARTICIPANT_SLOT_BITS | at;
    }
    return 0;
}

void participant_become(uint32_t number)
{
    participant_self = number;
    struct participant *slot = slot_of(number);
    store_relaxed(&slot->pid, getpid()); /* relaxed, both: what it then sends orders them */
    store_relaxed(&slot->parent, getppid());
}

void participants_open(struct participants *table)
{
    participants = table ? table : &nobody_else;
    participant_self = 0;
    if (table)
        participant_become(participant_add());
}

void participants_adopt(struct participants *table, uint32_t number)
{
    participants = table;
    participant_self = number;
}

void participant_bury(uint32_t number)
{
    uint32_t state = living(number);
    if (!number || !cas_release(&slot_of(number)->state, &state, state & ~(uint32_t)LIVES))
        return; /* another has. The release pairs with participant_is_dead() */
    add_release(&participants->epoch, 1); /* pairs with the acquire in death_epoch() */
    futex_wake_shared(&participants->epoch, INT_MAX);
}

/* The parent of a living participant, from its process id; 0: there is none. relaxed: set long ago.
 */
static pid_t parent_of(pid_t child)
{
    for (uint32_t at = PROGRAM + 1; at < PARTICIPANTS_MAX; at++) {
        const struct participant *slot = &participants->slots[at];
        if ((load_acquire(&slot->state) & LIVES) && load_relaxed(&slot->pid) == child)
            return load_relaxed(&slot->parent);
    }
    return 0;
}

void participants_bury_family(pid_t child, void (*wait_for_end)(pid_t pid))
{
    if (!participant_self || slot_of(participant_self) != &participants->slots[PROGRAM])
        return;
    pid_t zygote = parent_of(child);
    if (!zygote)
        return;
    wait_for_end(zygote); /* then nobody is added any more */
    for (uint32_t at = PROGRAM + 1; at < PARTICIPANTS_MAX; at++) {
        struct participant *slot = &participants->slots[at];
        uint32_t state = load_acquire(&slot->state); /* pairs with the release in _add() */
        if (!(state & LIVES) || load_relaxed(&slot->parent) != zygote) /* relaxed: as above */
            continue;
        wait_for_end(load_relaxed(&slot->pid));
        participant_bury(state >> 1 << PARTICIPANT_SLOT_BITS | at);
    }
}
