/* SPDX-License-Identifier: MIT */
/*
 * io/fd_wait.c: a thread waits on a descriptor.
 *
 * The thread sleeps in ppoll() on two descriptors: the caller's, and an eventfd that a cancellation
 * writes to. That is made only when there is something to wait for, and for one wait, so that weft
 * keeps no descriptors of its own; beside a sleep its two system calls hardly count. When no
 * descriptor is left for it the thread looks for a cancellation every BLIND_NS instead: a program
 * that has run out of descriptors must still learn how its processes end. A deadline further away
 * than a day is waited for a day at a time.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <weft/fd.h>

#include "park/strand.h"

#define SLICE_NS (24 * 3600 * WEFT_S)
#define BLIND_NS (10 * WEFT_MS)

static void wake(void *ctx)
{
    const int *waker = ctx;
    if (*waker >= 0)
        (void)eventfd_write(*waker, 1);
}

/* What poll found of the first descriptor; 0: nothing yet; or an error. */
static int poll_once(struct pollfd fds[2], weft_deadline deadline)
{
    int64_t ns = weft_left(deadline);
    int64_t most = fds[1].fd < 0 ? BLIND_NS : SLICE_NS;
    ns = ns < most ? ns : most;
    struct timespec left = { .tv_sec = ns / WEFT_S, .tv_nsec = ns % WEFT_S };
    int n = ppoll(fds, 2, &left, NULL);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (fds[0].revents & POLLNVAL)
        return -EBADF;
    return fds[0].revents;
}

static int poll_until(struct strand *self, struct pollfd fds[2], weft_deadline deadline)
{
    for (;;) {
        int rc = poll_once(fds, deadline);
        if (rc)
            return rc;
        if (strand_cancelled(self))
            return -ECANCELED;
        if (!weft_left(deadline))
            return -ETIMEDOUT;
    }
}

/* The scope that ended the wait, if one did, shall know. */
static void blame_scope(struct strand *self, weft_deadline deadline)
{
    weft_scope *governor = self->scope ? self->scope->governor : NULL;
    if (governor && governor->deadline.ns < deadline.ns)
        governor->ended_something = true;
}

/* Waits with a way to be woken. */
static int wait_cancellable(struct pollfd fds[2], weft_deadline deadline)
{
    struct strand *self = strand_self();
    int waker = eventfd(0, EFD_CLOEXEC); /* may fail */
    fds[1] = (struct pollfd){ .fd = waker, .events = POLLIN };
    weft_on_cancel hook;
    int rc = weft_on_cancel_enter(&hook, wake, &waker);
    if (rc == 0) {
        rc = poll_until(self, fds, weft_sooner(deadline, weft_scope_deadline()));
        weft_on_cancel_leave(&hook);
    }
    if (waker >= 0)
        close(waker);
    if (rc == -ETIMEDOUT)
        blame_scope(self, deadline);
    return rc;
}

int weft_fd_wait(int fd, int events, weft_deadline deadline)
{
    struct pollfd fds[2] = { { .fd = fd, .events = (short)events }, { .fd = -1 } };
    if (fd < 0)
        return -EBADF; /* poll() would ignore it */
    int rc = poll_once(fds, WEFT_NOW);
    if (rc)
        return rc;
    return deadline.ns > 0 ? wait_cancellable(fds, deadline) : -ETIMEDOUT;
}
