/* SPDX-License-Identifier: MIT */
/*
 * weft/fd.h: waiting on a file descriptor, so that any library that exposes one obeys deadlines and
 * cancellation.
 */
#ifndef WEFT_FD_H
#define WEFT_FD_H

#include <weft/time.h>

WEFT_BEGIN

/*
 * Waits until a descriptor is ready.
 * Shape    fd: borrowed; events: POLLIN, POLLOUT, POLLPRI or several of <poll.h>.
 * Returns  what poll() found, more than 0 (POLLERR and POLLHUP also unasked); -ETIMEDOUT (WEFT_NOW:
 *          not ready); -ECANCELED; -EBADF.
 * Blocks   yes.
 */
int weft_fd_wait(int fd, int events, weft_deadline deadline) WEFT_USE;

WEFT_END
#endif
