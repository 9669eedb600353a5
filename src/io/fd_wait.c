/* SPDX-License-Identifier: MIT */
/*
 * io/fd_wait.c: a thread waits on a descriptor.
 *
 * The thread sleeps in ppoll() on two descriptors: the caller's, and an eventfd of its own that a
 * cancellation writes to. The eventfd is made by a thread's first wait and closed when the thread
 * ends (a pthread key's destructor). A deadline further away than a day is waited for a day at a
 * time.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <weft/fd.h>

#include "park/strand.h"

#define SLICE_NS (24 * 3600 * WEFT_S)

static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static int exit_key_error;

static void close_at_exit(void *record)
{
    struct strand *self = record;
    close(self->wake_fd - 1);
    self->wake_fd = 0;
}

static void make_exit_key(void)
{
    exit_key_error = pthread_key_create(&exit_key, close_at_exit);
}

/* The calling thread's eventfd, or an error. */
static int wake_fd(struct strand *self)
{
    if (self->wake_fd)
        return self->wake_fd - 1;
    pthread_once(&exit_once, make_exit_key);
    if (exit_key_error)
        return -ENOMEM;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    self->wake_fd = fd + 1;
    if (pthread_setspecific(exit_key, self)) {
        close_at_exit(self);
        return -ENOMEM;
    }
    return fd;
}

static void wake(void *ctx)
{
    (void)eventfd_write(*(const int *)ctx, 1);
}

/* What poll found of the first descriptor; 0: nothing yet; or an error. */
static int poll_once(struct pollfd fds[2], weft_deadline deadline)
{
    int64_t ns = weft_left(deadline);
    ns = ns < SLICE_NS ? ns : SLICE_NS;
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

int weft_fd_wait(int fd, int events, weft_deadline deadline)
{
    struct strand *self = strand_self();
    struct pollfd fds[2] = { { .fd = fd, .events = (short)events }, { .fd = -1 } };
    if (fd < 0)
        return -EBADF; /* poll() would ignore it */
    int rc = poll_once(fds, WEFT_NOW);
    if (rc)
        return rc;
    if (deadline.ns <= 0)
        return -ETIMEDOUT;
    int waker = wake_fd(self);
    if (waker < 0)
        return waker;
    fds[1] = (struct pollfd){ .fd = waker, .events = POLLIN };
    weft_on_cancel hook;
    rc = weft_on_cancel_enter(&hook, wake, &waker);
    if (rc < 0)
        return rc;
    rc = poll_until(self, fds, weft_sooner(deadline, weft_scope_deadline()));
    weft_on_cancel_leave(&hook);
    eventfd_t spent;
    (void)eventfd_read(waker, &spent); /* for the next wait */
    if (rc == -ETIMEDOUT)
        blame_scope(self, deadline);
    return rc;
}
