/* SPDX-License-Identifier: MIT */
/*
 * io/attempt.h: one operation by its plain system call, without waiting.
 */
#ifndef WEFT_IO_ATTEMPT_H
#define WEFT_IO_ATTEMPT_H

#include <poll.h>

#include "io/reactor.h"

/*
 * Makes the system call of an operation. On sockets it does not block even if they are in blocking
 * mode, except IO_ACCEPT and IO_CONNECT; reading and writing blocks as the descriptor does.
 * Before the first attempt op->state[2] must be 0.
 * Returns  what the operation's result is to be; -EAGAIN: it would have to wait until poll() finds
 *          io_events() (a connect() of a Unix socket whose listener is busy: some time). Never
 * -EINTR.
 */
ssize_t io_attempt(struct io_op *op);

/* An attempt of IO_CONNECT has begun to connect, and it goes on without the caller. */
bool io_connecting(const struct io_op *op);

/* Whether it is one on a file: always ready, and blocking all the same. */
static inline bool io_is_file(const struct io_op *op)
{
    bool moves = op->code == IO_READ || op->code == IO_WRITE;
    return op->code == IO_SYNC || (moves && op->offset != IO_STREAM);
}

/* What poll() has to find for an operation to go on. */
static inline int io_events(const struct io_op *op)
{
    switch (op->code) {
    case IO_POLL:
        return op->flags;
    case IO_READ:
    case IO_RECV:
    case IO_RECVMSG:
    case IO_ACCEPT:
        return POLLIN;
    default:
        return POLLOUT;
    }
}

#endif
