/* SPDX-License-Identifier: MIT */
/*
 * weft/address.h: where streams, listeners and datagrams connect to, as text.
 *
 *     HOST:PORT            TCP, or UDP for a datagram
 *     tcp:HOST:PORT        the same, said aloud (udp: for a datagram)
 *     unix:PATH            a Unix socket in the file system
 *     unix:@NAME           one in Linux's abstract namespace, which leaves no file behind
 *
 *     HOST   127.0.0.1     an IPv4 address
 *            [::1]         an IPv6 address, always in brackets; [fe80::1%eth0] names an interface
 *            example.org   a name, looked up by weft_resolve()
 *            * or nothing  every address of this machine: to listen or receive at
 *     PORT   80            0: any free one, to listen or receive at
 *            http          a service that the system knows
 *
 * What weft returns is in the same form: 127.0.0.1:8080, [::1]:8080, unix:/run/chat; "unix:" alone
 * is a Unix socket without a name, as most that dial are. IPv4 addresses that reach an IPv6 socket
 * are shown as IPv4.
 *
 * What can be wrong with an address, in every function that takes one:
 *
 *   -EINVAL        not an address: no port, no closing bracket, a bare IPv6 address, no such
 *                  service, nothing after "unix:", "udp:" for a stream or "tcp:" for a datagram
 *   -ERANGE        the port is above 65535
 *   -ENAMETOOLONG  the host is longer than 255 bytes, the Unix name than 107
 *   -EDESTADDRREQ  to reach somebody: no host, or port 0
 *   -ENODEV        no network interface has that name
 *   and what weft_resolve() returns for a name
 */
#ifndef WEFT_ADDRESS_H
#define WEFT_ADDRESS_H

#include <weft/time.h>

WEFT_BEGIN

/* Enough for every address that weft returns, with the NUL. */
#define WEFT_ADDRESS_BYTES 128

/*
 * Looks up a host: the addresses to dial, the most promising first.
 *
 * The system's resolver (getaddrinfo) is asked, in a thread of the pool of weft_blocking(), from
 * every kind of strand. Nothing can stop it: when the wait ends early, the lookup goes on in its
 * thread, on memory of its own, and what it finds is dropped.
 *
 * Shape    host: a name, or an IP address without brackets; port: a number or a service; ret: room
 *          for max texts, at least 1; what is found beyond max (or beyond 16) is left out.
 * Returns  how many, at least 1, in the form HOST:PORT; -ENOENT: there is no such host, or it has
 *          no address; -EAGAIN: the name servers do not answer, try later; -EIO: they answer with
 *          an error; -EINVAL: no such service, or no host; -ERANGE; -ENAMETOOLONG; -ETIMEDOUT;
 *          -ECANCELED; -ENOMEM, -EMFILE: no memory, descriptor or thread for the lookup.
 * Blocks   for a name; an IP address is translated in place.
 */
int weft_resolve(const char *host, const char *port, char (*ret)[WEFT_ADDRESS_BYTES], size_t max,
                 weft_deadline deadline) WEFT_USE;

WEFT_END
#endif
