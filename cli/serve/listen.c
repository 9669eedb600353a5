/* SPDX-License-Identifier: MIT */
/* Where the site is served. Only numbers are taken as addresses: a name could stand for several, or
 * for somebody else's, and looking it up could take long. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { BACKLOG = 4096 };

static bool is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Only an IPv6 address has colons; brackets keep them apart from the port's. */
static bool write_place(char *text, size_t text_size, const char *address, uint16_t port)
{
    struct in_addr v4;
    bool v6 = strchr(address, ':') != NULL;

    if (!v6 && inet_pton(AF_INET, address, &v4) != 1)
        return false;
    int n = snprintf(text, text_size, v6 ? "[%s]:%u" : "%s:%u", address, port);
    return n > 0 && (size_t)n < text_size;
}

int listen_open(const char *address, uint16_t port, struct listen *ret)
{
    struct listen opened;
    char place[WEFT_ADDRESS_BYTES];

    if (strcmp(address, "localhost") == 0)
        address = "127.0.0.1";
    if (!write_place(place, sizeof place, address, port))
        return -EADDRNOTAVAIL;
    int rc = weft_listener_open(&opened.listener, place, BACKLOG);
    if (rc < 0)
        return rc == -EINVAL ? -EADDRNOTAVAIL : rc;
    rc = weft_listener_address(opened.listener, place, sizeof place);
    if (rc < 0) {
        weft_listener_close(opened.listener);
        return rc;
    }
    snprintf(opened.url, sizeof opened.url, "http://%s/", place);
    opened.loopback = is_loopback(address);
    *ret = opened;
    return 0;
}
