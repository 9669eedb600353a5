/* SPDX-License-Identifier: MIT */
/*
 * weft/listener.h: where a server waits for its clients.
 *
 *     weft_listener *listener;
 *     rc = weft_listener_open(&listener, "*:8080", 0);
 *     while ((rc = weft_listener_accept(listener, &stream, WEFT_FOREVER)) != -EPIPE)
 *         if (rc == 0)
 *             serve(stream);
 *
 * Several strands may accept at once; each connection goes to one of them.
 */
#ifndef WEFT_LISTENER_H
#define WEFT_LISTENER_H

#include <weft/stream.h>

WEFT_BEGIN

typedef struct weft_listener weft_listener;

/*
 * Listens at an address (weft/address.h).
 * Shape    backlog: how many connections the system keeps until they are accepted; 0 and less: as
 *          many as it allows.
 * Returns  0 and *ret_listener, to be closed; the errors of weft/address.h; -EADDRINUSE: somebody
 *          else is there, or, for a Unix path, was there and left the file: remove it first;
 *          -EADDRNOTAVAIL: not an address of this machine; -EACCES: a port below 1024, or the
 *          directory's mode; -ENOENT, -ENOTDIR, -EROFS: of a Unix path; -EMFILE, -ENFILE; -ENOMEM,
 *          -ENOBUFS; -ECANCELED.
 *          Of a name's addresses, the first that this machine has is taken. * and [::] take IPv6
 *          and IPv4.
 * Owns     a Unix path's file is removed by weft_listener_close(), if it is still the same.
 * Blocks   for a name.
 */
int weft_listener_open(weft_listener **ret_listener, const char *address, int backlog) WEFT_USE;

/*
 * Makes a listener of a socket that listens already, as a service manager passes it.
 * Shape    fd: taken on success, and then non-blocking and close-on-exec.
 * Returns  0 and *ret_listener, to be closed; -EBADF; -ENOTSOCK; -EINVAL: it does not listen, or
 *          not for streams; -ENOMEM.
 */
int weft_listener_adopt(weft_listener **ret_listener, int fd) WEFT_USE;

/*
 * Takes the next connection.
 *
 * Out of descriptors, the connection stays where it is and waits for a later call. So that a server
 * which just calls again does not spin, a call within 10 ms of such an error first waits for the
 * rest of that time. Connections that have ended before they were taken are passed over.
 *
 * Returns  0 and *ret_stream, to be closed; -EMFILE, -ENFILE: no descriptor is left; -ENOMEM,
 *          -ENOBUFS; -EPIPE: the listener was shut down; -ETIMEDOUT (WEFT_NOW: nobody there);
 *          -ECANCELED.
 * Blocks   yes.
 */
int weft_listener_accept(weft_listener *listener, weft_stream **ret_stream,
                         weft_deadline deadline) WEFT_USE;

/* Ends every accept, present and to come, with -EPIPE; who dials is refused. Returns nothing: it
   cannot fail. By any strand. */
void weft_listener_shutdown(weft_listener *listener);

/* Where it listens, as text, with the port that it has got. Returns as weft_stream_address(). */
int weft_listener_address(const weft_listener *listener, char *text, size_t size) WEFT_USE;

/* The descriptor. Borrowed, closed with the listener, non-blocking. */
int weft_listener_fd(const weft_listener *listener);

/* Closes it; connections that nobody has accepted are reset. Nobody is inside a call on it
   (weft_listener_shutdown() gets others out). NULL is allowed. */
void weft_listener_close(weft_listener *listener);

WEFT_END
#endif
