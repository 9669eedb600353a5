/* SPDX-License-Identifier: MIT */
/*
 * io/poll.h: how a thread, which has no reactor, waits for a descriptor: in the kernel's poll, so
 * that deadlines, scopes and cancellation end it as they end every other wait.
 */
#ifndef WEFT_IO_POLL_H
#define WEFT_IO_POLL_H

#include "park/strand.h"

/*
 * Waits, in the calling thread.
 * Returns  what poll() found, more than 0; -ETIMEDOUT (of the deadline or a scope's, which then
 *          knows); -ECANCELED; -EBADF.
 */
int poll_wait(struct strand *self, int fd, int events, weft_deadline deadline);

/*
 * Waits a moment, in any strand, where the system has no event to wait for.
 * Returns  0: try again; -ETIMEDOUT (of the deadline or a scope's); -ECANCELED.
 */
int poll_pause(weft_deadline deadline);

/*
 * A wait of the strand has ended with -ETIMEDOUT, at the sooner of this deadline and its scopes': a
 * scope that ended it shall know.
 */
void poll_blame_scope(struct strand *self, weft_deadline deadline);

#endif
