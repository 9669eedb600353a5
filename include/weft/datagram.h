/* SPDX-License-Identifier: MIT */
/*
 * weft/datagram.h: messages that arrive whole, or not at all: UDP and Unix datagrams.
 *
 *     weft_datagram *d;
 *     char from[WEFT_ADDRESS_BYTES], data[1500];
 *     rc = weft_datagram_open(&d, "*:5353");
 *     n = weft_datagram_receive(d, data, sizeof data, from, sizeof from, WEFT_FOREVER);
 *     n = weft_datagram_send(d, from, data, n, WEFT_FOREVER);
 *
 * Any number of strands may send and receive at once.
 */
#ifndef WEFT_DATAGRAM_H
#define WEFT_DATAGRAM_H

#include <weft/address.h>

WEFT_BEGIN

typedef struct weft_datagram weft_datagram;

/*
 * Opens a socket that receives at an address (weft/address.h).
 * Shape    address: NULL: any free port of every address, for UDP over IPv4 and IPv6.
 * Returns  0 and *ret_datagram, to be closed; as weft_listener_open().
 * Owns     as weft_listener_open(): a Unix path's file.
 * Blocks   for a name.
 */
int weft_datagram_open(weft_datagram **ret_datagram, const char *address) WEFT_USE;

/*
 * Sends one datagram.
 * Shape    to: of the socket's family: "udp:" or "unix:". A name is looked up each time, and its
 *          first address of a fitting family taken: weft_resolve() once is better.
 * Returns  size; the errors of weft/address.h and weft_resolve(); -EMSGSIZE: too long for one (UDP:
 *          65507 bytes over IPv4); -EAFNOSUPPORT: `to` is of another family than the socket;
 *          -ECONNREFUSED: nobody has that Unix socket (UDP does not tell); -ENOENT: there is none;
 *          -EPROTOTYPE: it is a stream's; -EACCES; -ENETUNREACH, -EHOSTUNREACH; -ENOBUFS, -ENOMEM;
 *          -ETIMEDOUT (WEFT_NOW: no room in the system's buffers, for Unix in the receiver's);
 *          -ECANCELED.
 * Blocks   while the system's buffers are full. A Unix receiver without room is asked again every
 *          millisecond.
 */
ssize_t weft_datagram_send(weft_datagram *datagram, const char *to, const void *data, size_t size,
                           weft_deadline deadline) WEFT_USE;

/*
 * Receives one datagram.
 * Shape    ret_from: who sent it, as text, or NULL; from_size: at least WEFT_ADDRESS_BYTES.
 * Returns  its size, perhaps 0; -EMSGSIZE: it was longer than size: its beginning is in data, the
 *          rest is lost, and *ret_from is set; -ENOSPC: from_size is too small (and nothing
 *          was taken); -ETIMEDOUT (WEFT_NOW: none there); -ECANCELED; -ENOBUFS, -ENOMEM.
 * Blocks   while there is none.
 */
ssize_t weft_datagram_receive(weft_datagram *datagram, void *data, size_t size, char *ret_from,
                              size_t from_size, weft_deadline deadline) WEFT_USE;

/* Where it receives, as text, with the port that it has got. Returns as weft_stream_address(). */
int weft_datagram_address(const weft_datagram *datagram, char *text, size_t size) WEFT_USE;

/* The descriptor. Borrowed, closed with the datagram socket, non-blocking. */
int weft_datagram_fd(const weft_datagram *datagram);

/* Closes it. Nobody is inside a call on it. NULL is allowed. */
void weft_datagram_close(weft_datagram *datagram);

WEFT_END
#endif
