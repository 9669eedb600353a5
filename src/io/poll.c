/* SPDX-License-Identifier: MIT */
/*
 * io/poll.c: a thread waits on a descriptor.
 *
 * The thread sleeps in ppoll() on two descriptors: the caller's, and its bell, an eventfd that a
 * cancellation writes to. A thread gets its bell when it first waits inside a call that can be
 * cancelled, keeps it for its other waits, and closes it when it ends: to make one for each wait
 * would cost two system calls each time, in a loop that otherwise makes three. Threads outside any
 * call (a program's own) cannot be cancelled, so they have none.
 *
 * When no descriptor is left for a bell the thread looks for a cancellation every BLIND_NS instead:
 * a program that has run out of descriptors must still learn how its processes end. A deadline
 * further away than a day is waited for a day at a time.
 *
 * A bell belongs to a strand, by its id: a child after a fork has the thread-local storage of the
 * thread that forked, but must not take the rings that are meant for that one. It makes its own,
 * and leaves what it inherited alone: what has that number by now may be something else.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "io/poll.h"
#include "park/hold.h"

#define SLICE_NS (24 * 3600 * WEFT_S)
#define BLIND_NS (10 * WEFT_MS)

struct bell {
    uint64_t owner; /* the strand's id; 0: there is none */
    int fd;
    bool rung; /* by a hook; read after the hook was left */
};

static __thread struct bell bell __attribute__((tls_model("initial-exec")));

/* Closes the bell of a thread that ends. Constant once made, as is the error of making it. */
static pthread_key_t key;
static int key_error;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void close_bell(void *its)
{
    struct bell *old = its;
    close(old->fd);
    old->owner = 0;
}

static void make_key(void)
{
    key_error = pthread_key_create(&key, close_bell);
}

/* Makes the thread's bell. False: there is no descriptor, or nothing to close it with at the end.
 */
static bool make_bell(struct strand *self)
{
    if (pthread_once(&key_once, make_key) || key_error)
        return false;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return false;
    if (pthread_setspecific(key, &bell)) {
        close(fd);
        return false;
    }
    bell = (struct bell){ .owner = self->id, .fd = fd };
    return true;
}

/* The hook: by the strand that cancels. */
static void ring(void *ctx)
{
    struct bell *its = ctx;
    its->rung = true;
    (void)eventfd_write(its->fd, 1);
}

static void silence(void)
{
    eventfd_t rings;
    if (bell.rung)
        (void)eventfd_read(bell.fd, &rings);
    bell.rung = false;
}

/* What poll found of the first descriptor; 0: nothing yet; or an error. */
static int poll_once(struct pollfd *fds, nfds_t n, int64_t ns)
{
    struct timespec left = { .tv_sec = ns / WEFT_S, .tv_nsec = ns % WEFT_S };
    int rc = ppoll(fds, n, &left, NULL);
    if (rc < 0)
        return errno == EINTR ? 0 : -errno;
    if (fds[0].revents & POLLNVAL)
        return -EBADF;
    return fds[0].revents;
}

static int poll_until(struct strand *self, struct pollfd *fds, nfds_t n, int64_t slice_ns,
                      weft_deadline deadline)
{
    for (;;) {
        int64_t ns = weft_left(deadline);
        int rc = poll_once(fds, n, ns < slice_ns ? ns : slice_ns);
        if (rc)
            return rc;
        if (strand_cancelled(self))
            return -ECANCELED;
        if (!weft_left(deadline))
            return -ETIMEDOUT;
    }
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static int poll_cancellable(struct strand *self, struct pollfd fds[2], weft_deadline deadline)
{
    bool heard = bell.owner == self->id || make_bell(self);
    fds[1] = (struct pollfd){ .fd = bell.fd, .events = POLLIN };
    weft_on_cancel hook;
    int rc = weft_on_cancel_enter(&hook, heard ? ring : nothing, &bell);
    if (rc < 0)
        return rc;
    rc = poll_until(self, fds, heard ? 2 : 1, heard ? SLICE_NS : BLIND_NS, deadline);
    weft_on_cancel_leave(&hook);
    silence();
    return rc;
}

int poll_wait(struct strand *self, int fd, int events, weft_deadline deadline)
{
    struct pollfd fds[2] = { { .fd = fd, .events = (short)events } };
    weft_deadline end = weft_sooner(deadline, weft_scope_deadline());
    struct hold_away away;
    away.n = 0;
    hold_let_go(self, &away);
    int rc = self->depth && !self->shields ? poll_cancellable(self, fds, end)
                                           : poll_until(self, fds, 1, SLICE_NS, end);
    hold_take_back(self, &away);
    if (rc == -ETIMEDOUT)
        poll_blame_scope(self, deadline);
    return rc;
}

int poll_pause(weft_deadline deadline)
{
    if (!weft_left(deadline))
        return -ETIMEDOUT;
    return weft_sleep_until(weft_sooner(deadline, weft_after(WEFT_MS)));
}

void poll_blame_scope(struct strand *self, weft_deadline deadline)
{
    weft_scope *governor = self->scope ? self->scope->governor : NULL;
    if (governor && governor->deadline.ns < deadline.ns)
        governor->ended_something = true;
}
