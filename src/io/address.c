/* SPDX-License-Identifier: MIT */
/*
 * io/address.c: reads and writes addresses as weft/address.h describes them.
 *
 * A text is cut into kind, host and port here; what the host means is decided by
 * address_numeric(), and if it is a name by resolve(). A dual-stack socket (every address of this
 * machine) deals in IPv6 addresses that stand for IPv4 ones: they are written as what they stand
 * for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/address.h"

enum {
    HOST_BYTES = 256, /* with the NUL, as below */
    PORT_BYTES = 33,
    UNIX_OFFSET = offsetof(struct sockaddr_un, sun_path),
    UNIX_NAME_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
};

/* Copies n bytes of text and a NUL. */
static int cut(char *ret, size_t size, const char *text, size_t n)
{
    if (n >= size)
        return -ENAMETOOLONG;
    memcpy(ret, text, n);
    ret[n] = 0;
    return 0;
}

static int read_unix(const char *name, struct address *ret)
{
    size_t length = strlen(name);
    bool abstract = name[0] == '@';
    if (length == (abstract ? 1 : 0))
        return -EINVAL;
    if (length > UNIX_NAME_MAX)
        return -ENAMETOOLONG;
    *ret = (struct address){ .local.sun_family = AF_UNIX };
    memcpy(ret->local.sun_path, name, length);
    if (abstract)
        ret->local.sun_path[0] = 0;
    /* A path counts with its NUL; an abstract name is as long as it says. */
    ret->size = (socklen_t)(UNIX_OFFSET + length + (abstract ? 0 : 1));
    return 0;
}

/* Returns 0; -ENOENT: not a number; -ERANGE. */
static int read_port(const char *port, uint16_t *ret)
{
    if (!*port || strspn(port, "0123456789") != strlen(port))
        return -ENOENT;
    unsigned long number = strtoul(port, NULL, 10); /* saturates */
    if (number > UINT16_MAX)
        return -ERANGE;
    *ret = (uint16_t)number;
    return 0;
}

/* An IPv6 address, perhaps with the interface that it holds on. Returns 0; -ENOENT; -ENODEV. */
static int read_v6(const char *host, struct sockaddr_in6 *ret)
{
    char bare[INET6_ADDRSTRLEN];
    const char *interface = strchr(host, '%');
    size_t n = interface ? (size_t)(interface - host) : strlen(host);
    if (cut(bare, sizeof bare, host, n) < 0 || inet_pton(AF_INET6, bare, &ret->sin6_addr) != 1)
        return -ENOENT;
    if (!interface)
        return 0;
    char *end;
    unsigned long index = strtoul(interface + 1, &end, 10);
    bool numeric = end > interface + 1 && !*end && index <= UINT32_MAX;
    ret->sin6_scope_id = numeric ? (uint32_t)index : if_nametoindex(interface + 1);
    return ret->sin6_scope_id ? 0 : -ENODEV;
}

int address_numeric(const char *host, const char *port, struct address *ret)
{
    uint16_t number = 0;
    int port_rc = read_port(port, &number);
    if (port_rc == -ERANGE)
        return port_rc;
    *ret = (struct address){ .v4.sin_family = AF_INET };
    ret->size = sizeof ret->v4;
    ret->v4.sin_port = htons(number);
    if (inet_pton(AF_INET, host, &ret->v4.sin_addr) != 1) {
        *ret = (struct address){ .v6.sin6_family = AF_INET6 };
        ret->size = sizeof ret->v6;
        ret->v6.sin6_port = htons(number);
        int rc = read_v6(host, &ret->v6);
        if (rc < 0)
            return rc;
    }
    return port_rc < 0 ? -ESRCH : 0;
}

/* Every address of this machine: IPv6 and IPv4 in one socket, or IPv4 where that is all. */
static int read_every(const char *port, struct address ret[ADDRESSES_MAX])
{
    int rc = address_numeric("::", port, &ret[0]);
    if (rc == 0)
        rc = address_numeric("0.0.0.0", port, &ret[1]);
    return rc < 0 ? rc : 2;
}

/* Cuts HOST:PORT. Returns 0; -EINVAL; -ENAMETOOLONG. */
static int split(const char *text, char host[HOST_BYTES], char port[PORT_BYTES])
{
    bool brackets = text[0] == '[';
    const char *begin = text + brackets;
    const char *end = strchr(begin, brackets ? ']' : ':');
    const char *colon = end ? end + brackets : NULL;
    if (!colon || *colon != ':' || !colon[1] || strchr(colon + 1, ':'))
        return -EINVAL;
    if (brackets && end == begin)
        return -EINVAL;
    int rc = cut(host, HOST_BYTES, begin, (size_t)(end - begin));
    if (rc == 0 && cut(port, PORT_BYTES, colon + 1, strlen(colon + 1)) < 0)
        /* No service has such a name, and a number with so many digits is too high. */
        rc = strspn(colon + 1, "0123456789") == strlen(colon + 1) ? -ERANGE : -EINVAL;
    if (rc == 0 && brackets && !strchr(host, ':'))
        rc = -EINVAL;
    return rc;
}

static bool is_every(const char *host)
{
    return !*host || strcmp(host, "*") == 0;
}

/* The addresses of a host that split() has cut out; numeric: it was in brackets. */
static int look_at(const char *host, const char *port, bool numeric, struct address *ret,
                   weft_deadline deadline)
{
    int rc = numeric ? address_numeric(host, port, ret) : -ESRCH;
    if (rc == -ESRCH) /* there may be a name to look up, if only the port's */
        return resolve(host, port, ret, deadline);
    if (rc == -ENOENT)
        return -EINVAL;
    return rc < 0 ? rc : 1;
}

static int find_host(const char *text, bool reach, struct address ret[ADDRESSES_MAX],
                     weft_deadline deadline)
{
    char host[HOST_BYTES], port[PORT_BYTES];
    uint16_t number = 1;
    int rc = split(text, host, port);
    if (rc < 0)
        return rc;
    bool every = is_every(host);
    if (read_port(port, &number) == -ERANGE)
        return -ERANGE;
    if (reach && (every || !number))
        return -EDESTADDRREQ;
    rc = every ? read_every(port, ret) : -ESRCH;
    if (rc == -ESRCH)
        rc = look_at(every ? "::" : host, port, text[0] == '[', ret, deadline);
    return rc;
}

/* What follows a prefix such as "tcp:", or NULL. */
static const char *after(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

int address_find(const char *text, enum address_use use, struct address ret[ADDRESSES_MAX],
                 weft_deadline deadline)
{
    bool stream = use == ADDRESS_DIAL || use == ADDRESS_LISTEN;
    if (!text)
        return -EINVAL;
    const char *rest = after(text, "unix:");
    if (rest) {
        int rc = read_unix(rest, &ret[0]);
        return rc < 0 ? rc : 1;
    }
    if (after(text, stream ? "udp:" : "tcp:"))
        return -EINVAL;
    rest = after(text, stream ? "tcp:" : "udp:");
    return find_host(rest ? rest : text, use == ADDRESS_DIAL || use == ADDRESS_SEND, ret, deadline);
}

/* ---- to text */

static int format_v4(const void *host, uint16_t port, char *text, size_t size)
{
    const uint8_t *b = host;
    return snprintf(text, size, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3], ntohs(port));
}

static int format_v6(const struct sockaddr_in6 *v6, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    const uint8_t *bytes = v6->sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return format_v4(bytes + 12, v6->sin6_port, text, size);
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    if (v6->sin6_scope_id)
        return snprintf(text, size, "[%s%%%u]:%u", host, v6->sin6_scope_id, ntohs(v6->sin6_port));
    return snprintf(text, size, "[%s]:%u", host, ntohs(v6->sin6_port));
}

/* The size says how long a name is: a path may come without its NUL, an abstract name may hold some
 * (they are shown as @, as other tools do). */
static int format_unix(const struct address *address, char *text, size_t size)
{
    const char *path = address->local.sun_path;
    size_t n = address->size > UNIX_OFFSET ? address->size - UNIX_OFFSET : 0;
    char name[sizeof address->local.sun_path + 1];
    n = n < sizeof name ? n : sizeof name - 1;
    if (n && path[0])
        n = strnlen(path, n);
    for (size_t i = 0; i < n; i++)
        name[i] = path[i] ? path[i] : '@';
    name[n] = 0;
    return snprintf(text, size, "unix:%s", name);
}

int address_format(const struct address *address, char *text, size_t size)
{
    int n;
    switch (address->any.sa_family) {
    case AF_INET:
        n = format_v4(&address->v4.sin_addr, address->v4.sin_port, text, size);
        break;
    case AF_INET6:
        n = format_v6(&address->v6, text, size);
        break;
    case AF_UNIX:
        n = format_unix(address, text, size);
        break;
    default:
        return -ENOTSUP;
    }
    return n >= 0 && (size_t)n < size ? 0 : -ENOSPC;
}

int address_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *), char *text, size_t size)
{
    struct address address = { .size = sizeof address.local };
    if (get(fd, &address.any, &address.size) < 0)
        return -errno;
    return address_format(&address, text, size);
}
