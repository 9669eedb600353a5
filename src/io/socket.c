/* SPDX-License-Identifier: MIT */
/*
 * io/socket.c: opening sockets, with the options that all of weft's have.
 *
 * A socket at every address of the machine is an IPv6 one that takes IPv4 too; where the system has
 * no IPv6, the second address that address_find() gives makes an IPv4 one. Only then is the next
 * address tried: one that is in use must be told, not evaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "io/socket.h"

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int socket_open(const struct address *address, int type)
{
    int family = address->any.sa_family;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (type == SOCK_STREAM && family != AF_UNIX)
        (void)set(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* one without it works, too */
    return fd;
}

static bool is_path(const struct address *address)
{
    return address->any.sa_family == AF_UNIX && address->local.sun_path[0];
}

static void remember_file(const struct address *address, struct socket_file *ret)
{
    struct stat stat;
    ret->path[0] = 0;
    if (!is_path(address) || lstat(address->local.sun_path, &stat) < 0)
        return;
    memcpy(ret->path, address->local.sun_path, sizeof ret->path);
    ret->device = stat.st_dev;
    ret->inode = stat.st_ino;
}

void socket_file_remove(const struct socket_file *file)
{
    struct stat stat;
    if (file->path[0] && lstat(file->path, &stat) == 0 && stat.st_dev == file->device &&
        stat.st_ino == file->inode)
        (void)unlink(file->path);
}

static int open_bound(const struct address *address, int type)
{
    int fd = socket_open(address, type);
    if (fd < 0)
        return fd;
    int rc = 0;
    if (type == SOCK_STREAM && address->any.sa_family != AF_UNIX)
        rc = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && address->any.sa_family == AF_INET6)
        rc = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (rc == 0 && bind(fd, &address->any, address->size) < 0)
        rc = -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int socket_open_at(const char *text, enum address_use use, int type, struct socket_file *ret_file)
{
    struct address found[ADDRESSES_MAX];
    int n = address_find(text, use, found, WEFT_FOREVER);
    int rc = n;
    for (int i = 0; i < n; i++) {
        rc = open_bound(&found[i], type);
        if (rc >= 0)
            remember_file(&found[i], ret_file);
        if (rc != -EAFNOSUPPORT && rc != -EADDRNOTAVAIL)
            break;
    }
    return rc;
}

int socket_own(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

int socket_option(int fd, int name)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -errno : value;
}
