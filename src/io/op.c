/* SPDX-License-Identifier: MIT */
/*
 * io/op.c: one I/O operation for any kind of strand.
 *
 *              thread                             task
 *     sockets  the system call, which does not    the reactor, while the task is parked
 *              block; poll while it would
 *     pipes    the same                           the same system call; the reactor polls
 *     files    the system call, which blocks      the reactor; the blocking pool if that cannot
 *
 * Trying first is what makes "a call that need not wait succeeds, late or cancelled" hold. With
 * WEFT_NOW, or cancelled already, nothing but the try is left, for tasks too.
 *
 * A task's operation lies on its stack and is the reactor's until done() has been called, so the
 * task does not return before that. A deadline or a cancellation ends its wait, not the operation:
 * then it asks the reactor to cancel, and waits on, shielded, until the kernel has let go.
 *
 *     start() --> parked --done()------------------------> result
 *                   \--late, cancelled--> cancel(), parked --done()--> result, whichever came first
 *
 * done() and the task run on one thread, the worker's, so that op->strand needs no atomics.
 *
 * Writing into a pipe that nobody reads raises SIGPIPE, and no flag prevents it (before Linux
 * 6.18). So weft makes that call itself, with the signal blocked, and takes the signal back; a
 * reactor could do it at any time, in any order. Files are not waited for: their operations end by
 * themselves, so neither a deadline nor a cancellation ends them, for all kinds of strand alike.
 *
 * An operation that never has to wait would keep the worker from all other tasks; so after
 * INLINE_MAX of them in a row a task yields.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <time.h>

#include <weft/self.h>

#include "io/attempt.h"
#include "io/op.h"
#include "io/poll.h"
#include "park/park.h"
#include "park/trace.h"

enum { INLINE_MAX = 32 };

/* ---- the system calls */

static bool is_pipe_write(const struct io_op *op)
{
    return (op->code == IO_WRITE || op->code == IO_WRITEV) && op->offset == IO_STREAM;
}

/* Takes the SIGPIPE back that a write of this thread has raised. */
static void take_back(const sigset_t *pipe_signal)
{
    while (sigtimedwait(pipe_signal, NULL, &(struct timespec){ 0 }) < 0 && errno == EINTR) {
    }
}

static ssize_t write_pipe(struct io_op *op)
{
    sigset_t pipe_signal, before, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigemptyset(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    bool blocked = sigismember(&before, SIGPIPE) == 1;
    if (blocked)
        sigpending(&pending); /* one that was there already is the program's */
    ssize_t n = io_attempt(op);
    if (n == -EPIPE && !sigismember(&pending, SIGPIPE))
        take_back(&pipe_signal);
    if (!blocked)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

/* Does it without waiting. Returns its result, or -EAGAIN: it would have to wait. */
static ssize_t try_once(struct io_op *op)
{
    return is_pipe_write(op) ? write_pipe(op) : io_attempt(op);
}

/* ---- traces */

static unsigned purpose_of(const struct io_op *op)
{
    if (io_is_file(op))
        return PARK_FOR_FILE;
    switch (op->code) {
    case IO_POLL:
        return PARK_FOR_DESCRIPTOR;
    case IO_READ:
    case IO_RECV:
    case IO_RECVMSG:
        return PARK_FOR_READ;
    case IO_ACCEPT:
        return PARK_FOR_ACCEPT;
    case IO_CONNECT:
        return PARK_FOR_CONNECT;
    default:
        return PARK_FOR_WRITE;
    }
}

/* ---- tasks */

static void done(struct io_op *op)
{
    struct strand *strand = op->strand;
    op->strand = NULL;
    (void)park_end(strand); /* false: its wait has ended otherwise, and it is about to look */
}

static void cancel(void *ctx)
{
    struct io_op *op = ctx;
    struct reactor *reactor = op->strand->reactor;
    reactor->ops->cancel(reactor, op);
}

/* Whether there is more to an end by cancel() than that time was up: it had happened before. */
static bool happened(const struct io_op *op)
{
    return op->result != -ECANCELED;
}

/*
 * Waits for an operation that is the reactor's. What the strand lets go of meanwhile it takes back
 * only when done() has been called, which would end that wait instead.
 * Returns  0: it has ended by itself; -ETIMEDOUT, -ECANCELED: it was asked to end, and has ended.
 */
static int wait_for_done(struct io_op *op, weft_deadline deadline, unsigned flags)
{
    struct strand *self = op->strand;
    const void *fd = (const void *)(intptr_t)op->fd;
    unsigned purpose = purpose_of(op);
    struct hold_away away;
    struct trace_span span;
    away.n = 0;
    hold_let_go(self, &away);
    trace_begin_wait(&span, purpose, fd);
    int rc = park_wait(NULL, 0, deadline, flags | PARK_FOR_ITSELF);
    if (op->strand)
        (void)park_wait_then(NULL, 0, WEFT_FOREVER, PARK_SHIELDED | PARK_FOR_ITSELF, cancel, op);
    assert(!op->strand);
    trace_end_wait(&span, purpose, fd, rc);
    hold_take_back(self, &away);
    return rc;
}

static void count_inline(struct strand *self)
{
    if (++self->io_inline < INLINE_MAX)
        return;
    self->io_inline = 0;
    self->ops->yield(self);
}

/* Hands it to the reactor. Its result; or that the wait for it has ended, and nothing happened. */
static ssize_t run_in_reactor(struct strand *self, struct io_op *op, weft_deadline deadline)
{
    struct reactor *reactor = self->reactor;
    weft_deadline end = weft_sooner(deadline, weft_scope_deadline());
    op->done = done;
    op->strand = self;
    if (reactor->ops->start(reactor, op)) {
        count_inline(self);
        return op->result;
    }
    self->io_inline = 0;
    int rc = wait_for_done(op, end, 0);
    if (rc == 0 || happened(op))
        return op->result;
    if (op->code != IO_CONNECT) { /* another call would begin another connection */
        /* The reactor may not have come to it before the deadline. */
        ssize_t n = try_once(op);
        if (n != -EAGAIN)
            return n;
    }
    if (rc == -ETIMEDOUT)
        poll_blame_scope(self, deadline);
    return rc;
}

static ssize_t wait_in_reactor(struct strand *self, const struct io_op *op, weft_deadline deadline)
{
    struct io_op ready = {
        .code = IO_POLL, .fd = op->fd, .identity = op->identity, .flags = io_events(op)
    };
    return run_in_reactor(self, &ready, deadline);
}

/* ---- files */

static int file_call_blocking(void *ctx)
{
    struct io_op *op = ctx;
    op->result = io_attempt(op);
    return 0;
}

static ssize_t run_file(struct strand *self, struct io_op *op)
{
    struct reactor *reactor = self->reactor;
    if (!reactor || !reactor->ops->files) {
        int rc = weft_blocking(file_call_blocking, op);
        return rc < 0 ? rc : op->result;
    }
    op->done = done;
    op->strand = self;
    if (reactor->ops->start(reactor, op))
        count_inline(self);
    else
        (void)wait_for_done(op, WEFT_FOREVER, PARK_SHIELDED);
    return op->result;
}

/* ---- the door */

static ssize_t wait_for_another_try(struct strand *self, const struct io_op *op,
                                    weft_deadline deadline)
{
    if (op->code == IO_CONNECT && !io_connecting(op))
        return poll_pause(deadline); /* a Unix listener with a full backlog */
    if (self->reactor)
        return wait_in_reactor(self, op, deadline);
    const void *fd = (const void *)(intptr_t)op->fd;
    struct trace_span span;
    trace_begin_wait(&span, purpose_of(op), fd);
    int rc = poll_wait(self, op->fd, io_events(op), deadline);
    trace_end_wait(&span, purpose_of(op), fd, rc);
    return rc;
}

/* Tries, and waits until another try is worth it, until there is a result. */
static ssize_t run_by_trying(struct strand *self, struct io_op *op, weft_deadline deadline)
{
    for (;;) {
        ssize_t n = try_once(op);
        if (n != -EAGAIN)
            return n;
        if (deadline.ns <= 0)
            return -ETIMEDOUT;
        if (strand_cancelled(self))
            return -ECANCELED;
        n = wait_for_another_try(self, op, deadline);
        if (n < 0 || op->code == IO_POLL)
            return n;
    }
}

ssize_t io_run(struct io_op *op, weft_deadline deadline)
{
    struct strand *self = strand_self();
    if (io_is_file(op))
        return run_file(self, op);
    if (!self->reactor)
        return run_by_trying(self, op, deadline);
    if (!is_pipe_write(op) && deadline.ns > 0 && !strand_cancelled(self))
        return run_in_reactor(self, op, deadline);
    count_inline(self);
    return run_by_trying(self, op, deadline);
}
