/* SPDX-License-Identifier: MIT */
/*
 * io/datagram.c: datagrams.
 *
 * An IPv6 socket that takes IPv4 too wants IPv4 addresses in IPv6's form. A Unix datagram socket
 * that is not connected is always ready to write, even if the receiver has no room: as for a full
 * backlog (dial.c), it is asked again every millisecond.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/datagram.h>

#include "io/op.h"
#include "io/poll.h"
#include "io/socket.h"

struct weft_datagram {
    int fd;
    int family;
    uint64_t identity;
    struct socket_file file;
};

int weft_datagram_open(weft_datagram **ret_datagram, const char *address)
{
    weft_datagram *datagram = calloc(1, sizeof *datagram);
    if (!datagram)
        return -ENOMEM;
    int fd =
        socket_open_at(address ? address : "*:0", ADDRESS_RECEIVE, SOCK_DGRAM, &datagram->file);
    if (fd < 0) {
        free(datagram);
        return fd;
    }
    datagram->fd = fd;
    datagram->family = socket_option(fd, SO_DOMAIN);
    datagram->identity = io_identity();
    *ret_datagram = datagram;
    return 0;
}

/* Puts an address into the form that the socket's family has. False: it has none. */
static bool fit(struct address *address, int family)
{
    if (address->any.sa_family == AF_INET && family == AF_INET6) {
        struct sockaddr_in v4 = address->v4;
        *address = (struct address){ .v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port },
                                     .size = sizeof address->v6 };
        address->v6.sin6_addr.s6_addr[10] = address->v6.sin6_addr.s6_addr[11] = 0xff;
        memcpy(&address->v6.sin6_addr.s6_addr[12], &v4.sin_addr, sizeof v4.sin_addr);
    }
    return address->any.sa_family == family;
}

static int find_receiver(const weft_datagram *datagram, const char *to, struct address *ret,
                         weft_deadline deadline)
{
    struct address found[ADDRESSES_MAX];
    int n = address_find(to, ADDRESS_SEND, found, deadline);
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++) {
        *ret = found[i];
        if (fit(ret, datagram->family))
            return 0;
    }
    return -EAFNOSUPPORT;
}

static ssize_t send_unix(struct io_op *op, weft_deadline deadline)
{
    for (;;) {
        ssize_t n = io_run(op, WEFT_NOW);
        if (n != -ETIMEDOUT)
            return n;
        n = poll_pause(deadline);
        if (n < 0)
            return n;
    }
}

ssize_t weft_datagram_send(weft_datagram *datagram, const char *to, const void *data, size_t size,
                           weft_deadline deadline)
{
    struct address address;
    int rc = find_receiver(datagram, to, &address, deadline);
    if (rc < 0)
        return rc;
    struct iovec part = { .iov_base = (void *)data, .iov_len = size }; /* only read */
    struct msghdr message = {
        .msg_name = &address.any, .msg_namelen = address.size, .msg_iov = &part, .msg_iovlen = 1
    };
    struct io_op op = {
        .code = IO_SENDMSG,
        .fd = datagram->fd,
        .identity = datagram->identity,
        .message = &message,
    };
    return datagram->family == AF_UNIX ? send_unix(&op, deadline) : io_run(&op, deadline);
}

ssize_t weft_datagram_receive(weft_datagram *datagram, void *data, size_t size, char *ret_from,
                              size_t from_size, weft_deadline deadline)
{
    struct address address = { .size = 0 };
    struct iovec part = { .iov_base = data, .iov_len = size };
    struct msghdr message = { .msg_name = ret_from ? &address.local : NULL,
                              .msg_namelen = ret_from ? sizeof address.local : 0,
                              .msg_iov = &part,
                              .msg_iovlen = 1 };
    struct io_op op = {
        .code = IO_RECVMSG,
        .fd = datagram->fd,
        .identity = datagram->identity,
        .message = &message,
    };
    if (ret_from && from_size < WEFT_ADDRESS_BYTES)
        return -ENOSPC;
    ssize_t n = io_run(&op, deadline);
    if (n < 0)
        return n;
    address.size = message.msg_namelen;
    if (ret_from && address.size)
        (void)address_format(&address, ret_from, from_size); /* there is room */
    else if (ret_from)
        strcpy(ret_from, "unix:"); /* a sender without a name comes without an address */
    return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}

int weft_datagram_address(const weft_datagram *datagram, char *text, size_t size)
{
    return address_of(datagram->fd, getsockname, text, size);
}

int weft_datagram_fd(const weft_datagram *datagram)
{
    return datagram->fd;
}

void weft_datagram_close(weft_datagram *datagram)
{
    if (!datagram)
        return;
    close(datagram->fd);
    socket_file_remove(&datagram->file);
    free(datagram);
}
