/* SPDX-License-Identifier: MIT */
/* Opening the socket here rather than in libmicrohttpd names what is wrong with an address, gives
 * the port that was picked, and keeps the descriptor from being inherited. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool is_loopback(const union address *address)
{
    if (address->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
    return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
}

static int bind_and_listen(const struct addrinfo *to, int *ret_fd)
{
    int on = 1;
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, to->ai_addr, to->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int describe(struct listener *listener)
{
    union address address;
    socklen_t size = sizeof address;
    char host[INET6_ADDRSTRLEN];
    char port[sizeof "65535"];

    memset(&address, 0, sizeof address);
    if (getsockname(listener->fd, &address.any, &size) < 0)
        return -errno;
    if (getnameinfo(&address.any, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return -EADDRNOTAVAIL;
    bool v6 = address.any.sa_family == AF_INET6;
    snprintf(listener->url, sizeof listener->url, "http://%s%s%s:%s/", v6 ? "[" : "", host,
             v6 ? "]" : "", port);
    listener->loopback = is_loopback(&address);
    return 0;
}

int listener_open(const char *address, uint16_t port, struct listener *ret)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    struct listener listener = { .fd = -1 };
    char service[sizeof "65535"];

    snprintf(service, sizeof service, "%u", port);
    if (strcmp(address, "localhost") == 0)
        address = "127.0.0.1";
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return -EADDRNOTAVAIL;
    int rc = bind_and_listen(found, &listener.fd);
    freeaddrinfo(found);
    if (rc == 0 && (rc = describe(&listener)) < 0)
        close(listener.fd);
    if (rc == 0)
        *ret = listener;
    return rc;
}
