/* SPDX-License-Identifier: MIT */
/*
 * io/attempt.c: the system calls behind the operations.
 *
 * connect() is two calls: one that begins, and once the socket is writable one that asks how it
 * ended. CONNECTING in op->state[2] says that the first was made. An accept() that meets a
 * connection which the peer has given up already (ECONNABORTED) goes on to the next.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/attempt.h"
#include "io/fault.h"

enum { CONNECTING = 1 };

/* 0, and what the call returned; or -errno. */
static ssize_t told(ssize_t returned)
{
    return returned < 0 ? -errno : returned;
}

static ssize_t poll_now(const struct io_op *op)
{
    struct pollfd one = { .fd = op->fd, .events = (short)op->flags };
    if (op->fd < 0)
        return -EBADF; /* poll() would ignore it */
    int n = poll(&one, 1, 0);
    if (n <= 0)
        return n < 0 ? -errno : -EAGAIN;
    return one.revents & POLLNVAL ? -EBADF : one.revents;
}

static ssize_t how_it_connected(const struct io_op *op)
{
    struct pollfd one = { .fd = op->fd, .events = POLLOUT };
    int error;
    socklen_t size = sizeof error;
    int n = poll(&one, 1, 0);
    if (n <= 0)
        return n < 0 ? -errno : -EAGAIN;
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

static ssize_t connect_now(struct io_op *op)
{
    if (io_connecting(op))
        return how_it_connected(op);
    if (connect(op->fd, op->address, *op->address_size) == 0)
        return 0;
    if (errno != EINPROGRESS && errno != EINTR)
        return -errno;
    op->state[2] |= CONNECTING; /* also when interrupted: it goes on */
    return -EAGAIN;
}

static ssize_t read_now(const struct io_op *op, size_t size)
{
    if (op->offset == IO_STREAM)
        return told(read(op->fd, op->data, size));
    return told(pread(op->fd, op->data, size, (off_t)op->offset));
}

static ssize_t write_now(const struct io_op *op, size_t size)
{
    if (op->offset == IO_STREAM)
        return told(write(op->fd, op->data, size));
    return told(pwrite(op->fd, op->data, size, (off_t)op->offset));
}

static ssize_t call(struct io_op *op, size_t size)
{
    switch (op->code) {
    case IO_POLL:
        return poll_now(op);
    case IO_READ:
        return read_now(op, size);
    case IO_WRITE:
        return write_now(op, size);
    case IO_WRITEV:
        return told(writev(op->fd, op->message->msg_iov, (int)op->message->msg_iovlen));
    case IO_SYNC:
        return told(fsync(op->fd));
    case IO_RECV:
        return told(recv(op->fd, op->data, size, op->flags | MSG_DONTWAIT));
    case IO_SEND:
        return told(send(op->fd, op->data, size, op->flags | MSG_DONTWAIT | MSG_NOSIGNAL));
    case IO_RECVMSG:
        return told(recvmsg(op->fd, op->message, op->flags | MSG_DONTWAIT));
    case IO_SENDMSG:
        return told(sendmsg(op->fd, op->message, op->flags | MSG_DONTWAIT | MSG_NOSIGNAL));
    case IO_ACCEPT:
        return told(accept4(op->fd, op->address, op->address_size, op->flags));
    case IO_CONNECT:
        return connect_now(op);
    case IO_FUTEX:
        return -EOPNOTSUPP;
    }
    return -EINVAL;
}

ssize_t io_attempt(struct io_op *op)
{
    for (;;) {
        int forced = fault(FAULT_OP, op);
        size_t size = forced > 0 && (size_t)forced < op->size ? (size_t)forced : op->size;
        ssize_t result = forced < 0 ? forced : call(op, size);
        if (result != -EINTR && !(result == -ECONNABORTED && op->code == IO_ACCEPT))
            return result;
    }
}

bool io_connecting(const struct io_op *op)
{
    return op->state[2] & CONNECTING;
}
