/* SPDX-License-Identifier: MIT */
/* io/address.h: addresses as text (weft/address.h) and as the system's structures. */
#ifndef WEFT_IO_ADDRESS_H
#define WEFT_IO_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <weft/address.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    };
    socklen_t size;
};

/* The most addresses of one host that are looked at. */
enum { ADDRESSES_MAX = 16 };

/* What an address is for. */
enum address_use {
    ADDRESS_DIAL,   /* a stream's other end */
    ADDRESS_LISTEN, /* a listener's own */
    ADDRESS_SEND,   /* a datagram's other end */
    ADDRESS_RECEIVE /* a datagram's own */
};

/*
 * All addresses that a text stands for. A name waits for weft_resolve().
 * Returns  how many, 1 to ADDRESSES_MAX; the errors of weft/address.h.
 */
int address_find(const char *text, enum address_use use, struct address ret[ADDRESSES_MAX],
                 weft_deadline deadline);

/*
 * Translates a numeric host and port, without brackets, in place.
 * Returns  0; -ENOENT: the host is a name; -ESRCH: the port is; -ERANGE; -ENODEV.
 */
int address_numeric(const char *host, const char *port, struct address *ret);

/* Returns 0; -ENOSPC: text has no room for it (WEFT_ADDRESS_BYTES are always enough); -ENOTSUP: of
   a family that has no text here. */
int address_format(const struct address *address, char *text, size_t size);

/* What getsockname() or getpeername() says of a descriptor. Returns 0; their errors; as above. */
int address_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *), char *text, size_t size);

/*
 * Looks a name up (resolve.c), or translates it in place.
 * Returns  how many, 1 to ADDRESSES_MAX; the errors of weft_resolve().
 */
int resolve(const char *host, const char *port, struct address ret[ADDRESSES_MAX],
            weft_deadline deadline);

#endif
