/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the reactor share: one reactor of the back end that WEFT_IO names, operations
 * that remember that they have ended, and connected sockets as weft makes them.
 */
#ifndef REACTORS_H
#define REACTORS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "io/fault.h"

static struct reactor *reactor;

/* WEFT_TEST_LINUX=510 lets the back ends use only what Linux 5.10 has. */
static int old_kernel(enum io_fault_point point, struct io_op *op)
{
    (void)op;
    const char *version = getenv("WEFT_TEST_LINUX");
    return point == FAULT_OPEN && version ? atoi(version) : 0;
}

static inline void open_reactor(void)
{
    const char *back_end = getenv("WEFT_IO");
    if (HARNESS_VALGRIND && back_end && strcmp(back_end, "uring") == 0)
        SKIP("valgrind does not know that io_uring waits");
    if (!io_fault)
        io_fault = old_kernel;
    int rc = reactor_open(&reactor);
    if (rc == -ENOSYS || rc == -EPERM)
        SKIP("this system does not allow %s", back_end);
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(reactor->under_way, 0);
}

static inline void close_reactor(void)
{
    EXPECT_EQ(reactor->under_way, 0);
    reactor->ops->close(reactor);
}

static inline bool is_epoll(void)
{
    return reactor->ops == &epoll_reactor;
}

struct test_op {
    struct io_op op;
    int ended; /* how often */
};

static void count_end(struct io_op *op)
{
    ((struct test_op *)op)->ended++;
}

static inline void start(struct test_op *t)
{
    t->op.done = count_end;
    t->ended = reactor->ops->start(reactor, &t->op);
}

static inline void until_ended(struct test_op *t)
{
    while (!t->ended)
        reactor->ops->wait(reactor, WEFT_FOREVER);
    EXPECT_EQ(t->ended, 1);
}

/* Everything that can happen now has happened. */
static inline void settle(void)
{
    while (reactor->ops->wait(reactor, WEFT_NOW)) {
    }
}

static inline void start_and_wait_in_vain(struct test_op *t)
{
    start(t);
    settle();
    EXPECT_EQ(t->ended, 0);
}

static inline ssize_t run(struct test_op *t)
{
    start(t);
    until_ended(t);
    return t->op.result;
}

static inline ssize_t cancel_and_wait(struct test_op *t)
{
    reactor->ops->cancel(reactor, &t->op);
    until_ended(t);
    return t->op.result;
}

/* A descriptor with its identity. */
struct end {
    int fd;
    uint64_t identity;
};

static inline struct end owned(int fd)
{
    EXPECT_GE(fd, 0);
    return (struct end){ fd, io_identity() };
}

static inline struct test_op with_data(enum io_code code, struct end end, void *data, size_t size)
{
    struct test_op t = { .op = { .code = code, .fd = end.fd, .identity = end.identity } };
    t.op.data = data;
    t.op.size = size;
    t.op.offset = IO_STREAM;
    return t;
}

static inline struct test_op recv_op(struct end end, void *data, size_t size)
{
    return with_data(IO_RECV, end, data, size);
}

static inline struct test_op send_op(struct end end, const void *data, size_t size)
{
    return with_data(IO_SEND, end, (void *)data, size);
}

static inline struct test_op poll_op(struct end end, int events)
{
    struct test_op t = with_data(IO_POLL, end, NULL, 0);
    t.op.flags = events;
    return t;
}

static inline struct test_op accept_op(struct end end)
{
    struct test_op t = with_data(IO_ACCEPT, end, NULL, 0);
    t.op.flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    return t;
}

static inline struct test_op connect_op(struct end end, void *address, socklen_t *size)
{
    struct test_op t = with_data(IO_CONNECT, end, NULL, 0);
    t.op.address = address;
    t.op.address_size = size;
    return t;
}

/* A TCP listener on a port of the system's choice, and where it listens. */
static inline struct end listen_tcp(struct sockaddr_in *where)
{
    socklen_t size = sizeof *where;
    struct end end = owned(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    *where = (struct sockaddr_in){ .sin_family = AF_INET };
    where->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(end.fd, (struct sockaddr *)where, size), 0);
    EXPECT_EQ(listen(end.fd, 128), 0);
    EXPECT_EQ(getsockname(end.fd, (struct sockaddr *)where, &size), 0);
    return end;
}

/* Two connected TCP sockets. */
static inline void tcp_pair(struct end ends[2])
{
    struct sockaddr_in where;
    struct end listener = listen_tcp(&where);
    ends[0] = owned(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(ends[0].fd, (struct sockaddr *)&where, sizeof where), 0);
    EXPECT_EQ(fcntl(ends[0].fd, F_SETFL, O_NONBLOCK), 0);
    ends[1] = owned(accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    for (int i = 0; i < 2; i++) /* small pieces do not wait for acknowledgements */
        EXPECT_EQ(setsockopt(ends[i].fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
    close(listener.fd);
}

static inline void unix_pair(struct end ends[2])
{
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    ends[0] = owned(fds[0]);
    ends[1] = owned(fds[1]);
}

static inline void pipe_pair(struct end ends[2])
{
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    ends[0] = owned(fds[0]);
    ends[1] = owned(fds[1]);
}

static inline void close_pair(struct end ends[2])
{
    close(ends[0].fd);
    close(ends[1].fd);
}

#endif
