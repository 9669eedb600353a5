/* SPDX-License-Identifier: MIT */
/*
 * io/fault.h: where tests make things go wrong in the I/O back ends.
 *
 * A test sets io_fault before it opens a reactor, and the back ends ask it at the points below
 * what shall happen. While it is NULL, as always outside of tests, a point costs a load and a
 * branch.
 *
 *     static int every_third_is_interrupted(enum io_fault_point point, struct io_op *op)
 *     {
 *         (void)op;
 *         return point == FAULT_OP && ++calls % 3 == 0 ? -EINTR : 0;
 *     }
 */
#ifndef WEFT_IO_FAULT_H
#define WEFT_IO_FAULT_H

#include "io/reactor.h"

enum io_fault_point {
    /* A reactor is opened (op is NULL). -errno: that fails. n > 0: only what Linux of that version
       can do is used, 510 for 5.10. */
    FAULT_OPEN,
    /* An operation's system call. -errno: it returns that instead, having done nothing: -EINTR,
       -ENOMEM, or -EAGAIN, not ready after all (only with identity 0: an owned descriptor is
       watched edge-triggered, and no edge would follow). n > 0: it moves no more than n bytes (of
       IO_READ, IO_WRITE, IO_RECV, IO_SEND). */
    FAULT_OP,
    /* epoll is told of a descriptor. -errno: it refuses (-ENOMEM, -ENOSPC). */
    FAULT_WATCH,
    /* An entry of the ring is wanted for an operation (op is NULL: to cancel one). Not 0: full. */
    FAULT_RING,
    /* The kernel is asked for events (op is NULL). -errno: it returns that instead, at once. */
    FAULT_WAIT,
};

extern int (*io_fault)(enum io_fault_point point, struct io_op *op);

static inline int fault(enum io_fault_point point, struct io_op *op)
{
    return __builtin_expect(io_fault != NULL, 0) ? io_fault(point, op) : 0;
}

#endif
