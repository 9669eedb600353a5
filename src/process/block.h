/* SPDX-License-Identifier: MIT */
/*
 * process/block.h: calls on a socket that wait as long as it takes, not cancellable. A thread does
 * so in the system call; a task parks, as its worker has other tasks to run.
 */
#ifndef WEFT_PROCESS_BLOCK_H
#define WEFT_PROCESS_BLOCK_H

#include <stdbool.h>
#include <sys/types.h>

struct msghdr;

/* Whether the calling strand may wait in a system call, or in a loop. */
bool block_allowed(void);

/*
 * Waits until the descriptor is ready for what events (POLLIN, POLLOUT) say, or broken. Where a
 * task's worker has no memory for the wait, the thread blocks after all.
 */
void block_until(int fd, int events);

/*
 * Sends a datagram; never raises SIGPIPE.
 * Shape    flags: 0: waits for room; MSG_DONTWAIT: does not, -EAGAIN.
 * Returns  0; -EPIPE: nobody reads any more; else -errno, but not -EINTR.
 */
int block_send(int fd, const struct msghdr *message, int flags);

/*
 * Receives a datagram of n bytes, and the descriptor that may come with it.
 * Returns  how many bytes came (0: nobody can send any more), with *ret_fd (-1: none; else 3 or
 *          more, close-on-exec), and *ret_truncated: there was one, and no room for it; -ENOMEM and
 *          what else recvmsg() returns.
 */
ssize_t block_receive(int fd, void *bytes, size_t n, int *ret_fd, bool *ret_truncated);

#endif
