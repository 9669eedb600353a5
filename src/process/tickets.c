/* SPDX-License-Identifier: MIT */
/*
 * process/tickets.c: descriptors between processes, on the zygote's side. A process cannot give
 * another one a descriptor by a number alone; it gives it to the zygote and gets a ticket, a number
 * that travels in anything, for which the zygote gives it to the first who asks.
 *
 *     kept --taken--> gone        \
 *       \--its owner died--> gone  > the ticket is never valid again
 *
 * A ticket has its place in the table in its lower half, and chance above: a ticket of another
 * program, or of a descriptor that is gone, is not valid here. Free places are a list.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "process/tickets.h"

#define PLACES_MAX ((size_t)1 << 20)
#define NOBODY     0

struct kept {
    uint32_t chance; /* 0: the place is free */
    uint32_t next;   /* while it is: the next free place plus one, 0: none */
    pid_t owner;     /* or NOBODY */
    int fd;
};

static struct kept *places;
static size_t room;
static uint32_t first_free; /* plus one; 0: none */

static int grow(void)
{
    size_t more = room ? 2 * room : 64;
    if (more > PLACES_MAX)
        return -EMFILE;
    struct kept *grown = realloc(places, more * sizeof *places);
    if (!grown)
        return -ENOMEM;
    for (size_t i = room; i < more; i++)
        grown[i] = (struct kept){ .next = i + 1 < more ? (uint32_t)i + 2 : 0 };
    first_free = (uint32_t)room + 1;
    places = grown;
    room = more;
    return 0;
}

static uint32_t chance(void)
{
    static uint32_t counter; /* if there is no chance to be had */
    uint32_t number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
        number = ++counter;
    return number ? number : 1;
}

int tickets_keep(int fd, pid_t owner, uint64_t *ret_ticket)
{
    int rc = first_free ? 0 : grow();
    if (rc < 0)
        return rc;
    uint32_t place = first_free - 1;
    first_free = places[place].next;
    places[place] = (struct kept){ .chance = chance(), .owner = owner, .fd = fd };
    *ret_ticket = (uint64_t)places[place].chance << 32 | place;
    return 0;
}

static int free_place(uint32_t place)
{
    int fd = places[place].fd;
    places[place] = (struct kept){ .next = first_free };
    first_free = place + 1;
    return fd;
}

int tickets_take(uint64_t ticket)
{
    uint32_t place = (uint32_t)ticket;
    bool valid = ticket >> 32 && place < room && places[place].chance == ticket >> 32;
    return valid ? free_place(place) : -ENOENT;
}

void tickets_end(pid_t owner, bool in_peace)
{
    for (uint32_t place = 0; place < room; place++) {
        if (!places[place].chance || places[place].owner != owner)
            continue;
        if (in_peace)
            places[place].owner = NOBODY; /* the id may soon be somebody else's */
        else
            close(free_place(place));
    }
}

void tickets_forget(void)
{
    room = 0;
    first_free = 0;
}
