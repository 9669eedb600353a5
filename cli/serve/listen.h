/* SPDX-License-Identifier: MIT */
/* The listening socket. */
#ifndef SERVE_LISTEN_H
#define SERVE_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <weft.h>

#define LISTEN_URL_MAX (WEFT_ADDRESS_BYTES + 16)

struct listen {
    weft_listener *listener;
    bool loopback;            /* only this machine can connect */
    char url[LISTEN_URL_MAX]; /* with the port that was picked: "http://127.0.0.1:41234/" */
};

/* Listens on an address (a number or localhost) and port; port 0: the kernel picks a free one.
 * Returns 0 or -errno, -EADDRNOTAVAIL also for what is no address; *ret is written on success, and
 * its listener is to be closed. */
int listen_open(const char *address, uint16_t port, struct listen *ret);

#endif
