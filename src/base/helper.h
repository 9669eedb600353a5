/* SPDX-License-Identifier: MIT */
/* base/helper.h: threads of the library's own: detached, with all the program's signals blocked. */
#ifndef WEFT_BASE_HELPER_H
#define WEFT_BASE_HELPER_H

/*
 * Starts a thread that runs body(ctx). It gets no signal but those that its own faults raise.
 * Returns  0; -EAGAIN: the system has no room for another; -ENOMEM.
 */
int helper_start(void *(*body)(void *ctx), void *ctx);

#endif
