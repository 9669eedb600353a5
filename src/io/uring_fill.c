/* SPDX-License-Identifier: MIT */
/*
 * io/uring_fill.c: operations as entries of the ring.
 *
 * Waits for futexes came with Linux 6.7; liburing knows them since 2.5, so the entry is made by
 * hand. Only words that processes share are waited for so: kernels of 2025 mix up private ones.
 */
#include "io/uring_fill.h"

enum { FUTEX_WAITV = 53 }; /* IORING_OP_FUTEX_WAITV */

void uring_fill(struct io_uring_sqe *sqe, const struct io_op *op, unsigned size)
{
    switch (op->code) {
    case IO_POLL:
        io_uring_prep_poll_add(sqe, op->fd, (unsigned)op->flags);
        break;
    case IO_READ:
        io_uring_prep_read(sqe, op->fd, op->data, size, op->offset);
        break;
    case IO_WRITE:
        io_uring_prep_write(sqe, op->fd, op->data, size, op->offset);
        break;
    case IO_WRITEV:
        io_uring_prep_writev(sqe, op->fd, op->message->msg_iov, (unsigned)op->message->msg_iovlen,
                             op->offset);
        break;
    case IO_SYNC:
        io_uring_prep_fsync(sqe, op->fd, 0);
        break;
    case IO_RECV:
        io_uring_prep_recv(sqe, op->fd, op->data, size, op->flags);
        break;
    case IO_SEND:
        io_uring_prep_send(sqe, op->fd, op->data, size, op->flags | MSG_NOSIGNAL);
        break;
    case IO_RECVMSG:
        io_uring_prep_recvmsg(sqe, op->fd, op->message, (unsigned)op->flags);
        break;
    case IO_SENDMSG:
        io_uring_prep_sendmsg(sqe, op->fd, op->message, (unsigned)op->flags | MSG_NOSIGNAL);
        break;
    case IO_ACCEPT:
        io_uring_prep_accept(sqe, op->fd, op->address, op->address_size, op->flags);
        break;
    case IO_CONNECT:
        io_uring_prep_connect(sqe, op->fd, op->address, *op->address_size);
        break;
    case IO_FUTEX:
        io_uring_prep_rw(FUTEX_WAITV, sqe, 0, op->data, size, 0);
        break;
    }
}

bool uring_has_futexes(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool has = probe && io_uring_opcode_supported(probe, FUTEX_WAITV);
    io_uring_free_probe(probe);
    return has;
}
