/* SPDX-License-Identifier: MIT */
/*
 * weft/stream.h: a connection that carries bytes in order: TCP, Unix sockets, pipes.
 *
 *     weft_stream *s;
 *     char line[1000];
 *     rc = weft_stream_dial(&s, "example.org:7", weft_after(5 * WEFT_S));
 *     n = weft_stream_write(s, "hello\n", 6, WEFT_FOREVER);
 *     n = weft_stream_read_until(s, line, sizeof line, '\n', weft_after(WEFT_S));
 *     weft_stream_close(s);
 *
 * weft/address.h says what an address looks like, weft/listener.h how the other side begins.
 *
 * Strands  One strand may read while another writes. Two that read at once, or two that write, need
 *          a lock of their own. weft_stream_shutdown() may be called by anybody, and ends the waits
 *          of both; weft_stream_close() only when nobody is inside a call.
 * Early    A call that a deadline, a scope or a cancellation ends has lost nothing: a read has
 * ends     taken nothing out of the stream, and what a write got rid of weft_stream_written() says.
 * Errors   of the connection itself, in every call: -ECONNRESET: the peer, or this system, ended it
 *          without care for what was under way; -EPIPE: writing to a peer that has closed, or after
 *          a shutdown of one's own; -ETIMEDOUT also when the network lost the peer;
 *          -EHOSTUNREACH, -ENETUNREACH, -ENETDOWN; -ENOBUFS, -ENOMEM: the system lacks memory.
 *          There is never a SIGPIPE.
 * Owns     a descriptor, close-on-exec and non-blocking, 16 KiB from the first read_until or
 *          read_exactly on, and more while one of them needs it.
 *
 * Segments are sent at once (TCP_NODELAY), so gather what belongs together into one write, or hand
 * its parts to weft_stream_writev().
 */
#ifndef WEFT_STREAM_H
#define WEFT_STREAM_H

#include <sys/uio.h>

#include <weft/address.h>

WEFT_BEGIN

typedef struct weft_stream weft_stream;

/*
 * Connects to an address.
 *
 * The addresses of a name are tried one after the other, in the resolver's order, and the first
 * that connects wins. Each but the last gets its share of the time that is left (half, if there are
 * two), and 10 s at most.
 *
 * Returns  0 and *ret_stream, to be closed; the errors of weft/address.h and of weft_resolve(); or
 *          of the last address tried: -ECONNREFUSED: nobody listens there; -ETIMEDOUT: no answer
 *          before the deadline, or, after minutes, ever (WEFT_NOW: only a Unix socket can be
 * dialled like that); -ENETUNREACH, -EHOSTUNREACH, -EACCES (a firewall, or the file's mode);
 *          -EADDRNOTAVAIL: no local port is left; -ENOENT: no such Unix socket; -EPROTOTYPE: one,
 *          but not of a stream; -ECANCELED; -EMFILE, -ENFILE: no descriptor is left; -ENOMEM,
 *          -ENOBUFS.
 * Blocks   yes. A Unix listener with a full backlog is asked again every millisecond.
 */
int weft_stream_dial(weft_stream **ret_stream, const char *address,
                     weft_deadline deadline) WEFT_USE;

/*
 * Makes a stream of a descriptor of the program's own: a connected socket of a stream, a pipe, a
 * terminal.
 * Shape    fd: taken on success, and then non-blocking and close-on-exec; O_NONBLOCK holds for
 *          whoever shares the open file. Left as it is otherwise. Its options stay as they are.
 * Returns  0 and *ret_stream, to be closed; -EBADF; -EINVAL: neither of these (files: weft/file.h);
 *          -ENOMEM.
 */
int weft_stream_adopt(weft_stream **ret_stream, int fd) WEFT_USE;

/*
 * Reads what is there, up to size bytes, and waits only when there is nothing.
 * Returns  how many; 0: the end, the peer has closed or shut down (or size is 0); -ECONNRESET;
 *          -ETIMEDOUT (WEFT_NOW: nothing there); -ECANCELED; the connection's errors.
 * Blocks   while there is nothing to read.
 */
ssize_t weft_stream_read(weft_stream *stream, void *data, size_t size,
                         weft_deadline deadline) WEFT_USE;

/*
 * Reads size bytes, all or none.
 * Returns  size; 0: the end, and nothing before it (or size is 0); -ENODATA: the end came before
 *          so many bytes; -ENOMEM, -ECONNRESET; -ETIMEDOUT; -ECANCELED; the connection's errors.
 *          After an error data is undefined, and the bytes that came are still in the stream:
 *          weft_stream_buffered() says how many, weft_stream_read() gives them.
 * Blocks   until they are there. Above 16 KiB, room to put them back is set aside during the call.
 */
ssize_t weft_stream_read_exactly(weft_stream *stream, void *data, size_t size,
                                 weft_deadline deadline) WEFT_USE;

/*
 * Reads up to the first byte that is `end`, and including it.
 * Shape    size: the limit, with the end byte. No NUL is added.
 * Returns  how many bytes, at least 1; 0: the end of the stream, and nothing before it; -EMSGSIZE:
 *          none of the first size bytes is `end`; -ENODATA: the end of the stream came first;
 *          -EINVAL: size is 0; -ENOMEM, -ECONNRESET; -ETIMEDOUT; -ECANCELED; the connection's
 *          errors. After an error, as with weft_stream_read_exactly().
 * Blocks   until it is there.
 */
ssize_t weft_stream_read_until(weft_stream *stream, void *data, size_t size, char end,
                               weft_deadline deadline) WEFT_USE;

/* How many bytes read_until and read_exactly have fetched from the system that nobody has read:
   reads that they satisfy do not wait. By the strand that reads. */
size_t weft_stream_buffered(const weft_stream *stream);

/*
 * Writes all of it: hands it to the system, which sends it on as the peer takes it.
 * Returns  size; -EPIPE, -ECONNRESET; -ETIMEDOUT: the peer did not take it all in time (WEFT_NOW:
 *          not all fits the system's buffers); -ECANCELED; the connection's errors. After an error
 *          the beginning may have been written, and weft_stream_written() says how much.
 * Blocks   while the system's buffers are full.
 */
ssize_t weft_stream_write(weft_stream *stream, const void *data, size_t size,
                          weft_deadline deadline) WEFT_USE;

/*
 * The same for what does not lie in one piece: writes all parts, in order, as one write would. A
 * part may be empty. TCP fills its segments across them.
 * Shape    parts: count of them, any number; borrowed, and never changed.
 * Returns  the sum of their sizes; -EINVAL: it is more than SSIZE_MAX; else as weft_stream_write().
 * Blocks   as weft_stream_write().
 */
ssize_t weft_stream_writev(weft_stream *stream, const struct iovec *parts, size_t count,
                           weft_deadline deadline) WEFT_USE;

/* How many bytes have been written in the stream's life, at some moment during the call. */
uint64_t weft_stream_written(const weft_stream *stream);

/*
 * Ends one direction, or both, and the waits in it.
 * Shape    how, of <sys/socket.h>: SHUT_WR: what was written is still sent, then the peer reads the
 *          end, while this side may read on (a half-close); SHUT_RD: reads return 0 once what has
 *          come is read; SHUT_RDWR: both.
 * Returns  0, also when it had ended already; -EINVAL: how is none of these.
 *          A pipe has one direction, and nobody may be inside a call on it; -EMFILE, -ENFILE:
 *          closing it early takes a descriptor for a moment.
 */
int weft_stream_shutdown(weft_stream *stream, int how) WEFT_USE;

/*
 * The address of the other end, or of this one, as text.
 * Shape    text: WEFT_ADDRESS_BYTES bytes are always enough.
 * Returns  0; -ENOSPC: text is too small; -ENOTSOCK: a pipe; -ENOTSUP: an adopted socket of a
 *          family without text; -ENOTCONN: an adopted socket that is not connected any more. The
 *          peer of a stream that was dialled or accepted over TCP is known to the last.
 */
int weft_stream_peer(const weft_stream *stream, char *text, size_t size) WEFT_USE;
int weft_stream_address(const weft_stream *stream, char *text, size_t size) WEFT_USE;

/*
 * The descriptor: to set options, to poll, to splice. Borrowed, closed with the stream. It is
 * non-blocking, and does not know what is buffered.
 */
int weft_stream_fd(const weft_stream *stream);

/*
 * Closes the stream. What was written is still sent; what nobody has read makes TCP tell the peer
 * of a reset instead of an end. Nobody is inside a call on it (weft_stream_shutdown() gets others
 * out of theirs). NULL is allowed.
 */
void weft_stream_close(weft_stream *stream);

WEFT_END
#endif
