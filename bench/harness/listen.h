/* SPDX-License-Identifier: MIT */
/* What the echo servers share that are written by hand in C. */
#ifndef BENCH_LISTEN_H
#define BENCH_LISTEN_H

#include "harness/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

enum { BENCH_BACKLOG = 4096, BENCH_CONNECTIONS_MAX = 8192 };

/* A socket that listens on a free loopback port. flags as for socket(), SOCK_NONBLOCK or 0. */
static inline int bench_listen(int flags)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    bench_must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                   listen(fd, BENCH_BACKLOG) == 0,
               "listening on a loopback port");
    return fd;
}

/* Says to the harness where the server is: the only line that it prints. */
static inline void bench_say_port(unsigned port)
{
    printf("{\"port\": %u}\n", port);
    fflush(stdout);
}

static inline unsigned bench_port_of(int fd)
{
    struct sockaddr_in address = { 0 };
    socklen_t size = sizeof address;
    bench_must(getsockname(fd, (struct sockaddr *)&address, &size) == 0, "getsockname");
    return ntohs(address.sin_port);
}

#endif
