/* SPDX-License-Identifier: MIT */
/*
 * weft/fd.h: waiting on a file descriptor, so that any library that exposes one obeys deadlines and
 * cancellation; and passing descriptors from process to process.
 *
 * A descriptor is a number that means something in one process only. To give an open file, a socket
 * or a pipe to a process of kind processes, or to get one back, pass it and send the ticket, which
 * is a number, in whatever goes there: an argument, a result, shared memory.
 *
 *     uint64_t ticket;
 *     rc = weft_fd_pass(connection, &ticket);
 *     if (rc == 0)
 *         rc = weft_pool_submit(pool, serve, &ticket, sizeof ticket, NULL, WEFT_FOREVER);
 *     close(connection);
 *
 *     static int serve(weft_call *call)
 *     {
 *         int connection, rc = weft_fd_take(*(const uint64_t *)call->arg, &connection);
 *         if (rc < 0)
 *             return weft_call_fail(call, rc, "the connection is gone: %s", weft_strerror(rc));
 *         ...
 *         close(connection);
 *         return 0;
 *     }
 *
 * A peer that dies in the middle is an error, never a wait without an end: before the descriptor
 * was taken, the ticket is void (-ENOENT); after that, whoever reads a pipe or a socket, to which
 * no other process has the other end, finds its end (0; -ENODATA inside of a record; -ECONNRESET),
 * and who writes gets -EPIPE.
 */
#ifndef WEFT_FD_H
#define WEFT_FD_H

#include <weft/base.h>
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

/*
 * Gives a duplicate of a descriptor into the keeping of the program's zygote, for one process of
 * the program to take.
 *
 * The ticket is good once. It is void when the process that passed it crashes, is killed or exits
 * with a code other than 0, so that nobody goes on with what it has left half done; one that ends
 * otherwise, as the process of a group's call does, leaves its tickets good. What nobody takes
 * stays open until the program ends: take it and close it.
 * Shape    fd: borrowed; any descriptor that a Unix socket can carry.
 * Returns  0 and *ret_ticket; -EBADF, -EINVAL: not a descriptor, or of a sort that cannot be sent;
 *          -ENOTCONN: no weft_init(); -ECHILD: in a child that the program forked by itself;
 *          -EPIPE: the zygote has died; -EPERM: the program has changed its user or group since
 *          weft_init(); -EMFILE: no room for it, here, on its way or in the zygote (its hard limit
 *          on descriptors, at most about a million); -ENOMEM.
 * Strands  any kind, in the program and in its processes; others cannot, nor guess a ticket.
 * Blocks   for the moment that the zygote takes to answer; nothing ends that.
 */
int weft_fd_pass(int fd, uint64_t *ret_ticket) WEFT_USE;

/*
 * Takes the descriptor of a ticket.
 * Returns  0 and *ret_fd, close-on-exec, the caller's to close; -ENOENT: the ticket was used, or
 *          who passed it has died, or it is none; -EMFILE: no room for it (if another strand took
 *          the last at this very moment, the ticket is used up); else as weft_fd_pass().
 * Strands, Blocks   as there.
 */
int weft_fd_take(uint64_t ticket, int *ret_fd) WEFT_USE;

WEFT_END
#endif
