/* SPDX-License-Identifier: MIT */
/*
 * io/reactor.h: the door of the I/O back ends: a reactor does operations on descriptors for the
 * tasks of one worker, which goes on with other tasks meanwhile and sleeps in wait().
 *
 * A reactor belongs to the thread that opened it; only wake() may be called by others. Operations
 * live in the memory of whoever starts them and belong to the reactor, with the buffers that they
 * point to, from start() until they have ended.
 *
 *              start() 0          done()
 *     the caller's ----> the reactor's ----> the caller's
 *          ^                                      |
 *          +------------- start() 1 --------------+
 *
 * A descriptor may be closed only when none of its operations are under way: cancel() them, and
 * wait for their done(). Several operations may wait on one descriptor; of those that want the
 * same, which one gets it first is not said.
 *
 * The back ends' memory of descriptors. epoll wants to be told of a descriptor once, and forgets it
 * silently when it is closed; the next descriptor may get the same number. So whoever owns a
 * descriptor takes a number from io_identity() when it opens it, and gives it with each operation:
 * another identity is another descriptor, and nothing need be told when one is closed, whichever
 * reactors have seen it. An operation without identity is right, too, for any descriptor that may
 * be closed behind weft's back; it costs epoll one system call more whenever it has to wait.
 *
 * Two back ends of equal standing: uring.c and epoll.c. reactor_open() chooses: what WEFT_IO names,
 * else the first that this system allows. io/fault.h makes things go wrong in them for tests.
 */
#ifndef WEFT_IO_REACTOR_H
#define WEFT_IO_REACTOR_H

#include <stdbool.h>
#include <sys/socket.h>

#include <weft/time.h>

#include "base/list.h"

enum io_code {
    IO_POLL,    /* flags: POLLIN and so on; the result is what poll() found */
    IO_READ,    /* data, size, offset; offset IO_STREAM: a pipe or the like, non-blocking */
    IO_WRITE,   /* the same */
    IO_WRITEV,  /* message: its parts, as one write; offset IO_STREAM only */
    IO_SYNC,    /* fsync */
    IO_RECV,    /* data, size, flags as recv(), but not MSG_DONTWAIT, MSG_WAITALL */
    IO_SEND,    /* data, size, flags as send(); MSG_NOSIGNAL is added */
    IO_RECVMSG, /* message, flags */
    IO_SENDMSG, /* the same; MSG_NOSIGNAL is added */
    IO_ACCEPT,  /* address and address_size, or NULL; flags as accept4() */
    IO_CONNECT, /* address, *address_size */
    IO_FUTEX,   /* data: size places (base/futex.h), all in shared memory; ends when one is woken
                   or has changed (0 or more, or -EAGAIN). Where the reactor does not do it, it has
                   ended at once with -EOPNOTSUPP */
};

#define IO_STREAM UINT64_MAX

struct strand;

struct io_op {
    /* The caller's, constant while the operation is the reactor's: */
    enum io_code code;
    int fd; /* one that weft opened is non-blocking; IO_POLL: anybody's; files: any */
    int flags;
    uint64_t identity; /* of the descriptor, from io_identity(); 0: none */
    union {
        void *data; /* not written to by IO_WRITE and IO_SEND */
        struct msghdr *message;
        struct sockaddr *address;
    };
    size_t size;
    uint64_t offset;
    socklen_t *address_size;
    void (*done)(struct io_op *op); /* called once, by the reactor's thread within wait() */
    struct strand *strand;          /* for done(): who waits; the reactor does not look at it */

    /* Set by the reactor before the end: what the system call would return, or -errno. EINTR and
       EAGAIN (but of IO_FUTEX) are not among them. -ECANCELED: cancel() was in time, nothing has
       happened. */
    ssize_t result;

    /* The reactor's: */
    struct list link;
    uint64_t state[3];
};

struct reactor;

struct reactor_ops {
    const char *name; /* as in WEFT_IO */

    /* Does IO_READ and IO_WRITE at an offset, and IO_SYNC. Else they end with -EOPNOTSUPP at once,
       and whoever wants them lets a thread do them (io_attempt() in weft_blocking()). */
    bool files;

    /* Returns 0; -ENOSYS, -EPERM: this system does not allow it; -ENOMEM, -EMFILE. */
    int (*open)(struct reactor **ret);

    /* Nothing is under way, and nobody wakes it any more. */
    void (*close)(struct reactor *reactor);

    /*
     * Starts an operation. It cannot fail: an error is the operation's result.
     * Returns  0: it is the reactor's, and done() will come; 1: it has ended, done() does not come.
     */
    int (*start)(struct reactor *reactor, struct io_op *op);

    /*
     * Asks to end an operation that was started and has not ended: done() comes soon, and until it
     * does the buffer is the kernel's. The result is -ECANCELED, or what happened first (a part of
     * the data may have been moved: then the result says how much). A second time does nothing.
     */
    void (*cancel)(struct reactor *reactor, struct io_op *op);

    /*
     * Submits what was started, and calls done() of what has ended; if there is nothing, sleeps
     * until there is, until the deadline, or until wake(). WEFT_NOW: does not sleep, and costs next
     * to nothing when nothing is under way. done() may start and cancel operations; not wait().
     * Returns  how many have ended (0 also when woken).
     */
    int (*wait)(struct reactor *reactor, weft_deadline deadline);

    /*
     * Ends the present wait() that sleeps, or the next that would: a wake-up is not lost, and
     * wait(WEFT_NOW) does not use it up (unless fd() was called: then each wait() does). Several
     * may become one. By any thread, and in a signal handler.
     */
    void (*wake)(struct reactor *reactor);

    /*
     * A descriptor, for a foreign event loop, that is readable when wait() would find something, or
     * after wake(). That holds after a wait() that returned 0: what was started or cancelled since
     * has yet to be submitted. It may be readable for nothing. An epoll may watch it
     * for the reactor's own thread. Borrowed; constant.
     * Returns  it; -EBUSY: something is under way, the first time; -EMFILE, -ENOMEM.
     */
    int (*fd)(struct reactor *reactor);
};

/* The first member of each back end's own struct. */
struct reactor {
    const struct reactor_ops *ops;
    uint64_t under_way; /* how many operations are the reactor's */
    bool futexes;       /* does IO_FUTEX; constant */
};

extern const struct reactor_ops uring_reactor;
extern const struct reactor_ops epoll_reactor;

/*
 * Opens a reactor for the calling thread.
 * Returns  0; -EINVAL: WEFT_IO names none; or what the named, or the last, back end's open() said.
 */
int reactor_open(struct reactor **ret);

/* A number that no descriptor has had. By any thread. */
uint64_t io_identity(void);

#endif
