/* SPDX-License-Identifier: MIT */
/* process/tickets.h: the descriptors that the zygote keeps for who has a ticket. Its own only. */
#ifndef WEFT_PROCESS_TICKETS_H
#define WEFT_PROCESS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Keeps a descriptor for a process.
 * Returns  0 and *ret_ticket: the descriptor is taken over; -ENOMEM, -EMFILE: it is not.
 */
int tickets_keep(int fd, pid_t owner, uint64_t *ret_ticket);

/* The descriptor of a ticket, which is of no more use. Returns it, the caller's to close; -ENOENT.
 */
int tickets_take(uint64_t ticket);

/*
 * A process has ended: if it did so in peace, its tickets stay good and are nobody's; else they are
 * of no more use.
 */
void tickets_end(pid_t owner, bool in_peace);

/* Forgets all, without closing them: this process has inherited the memory only. */
void tickets_forget(void);

#endif
