/* SPDX-License-Identifier: MIT */
/*
 * io/uring.c: the reactor over io_uring, by liburing.
 *
 * start() writes an entry into the submission ring and returns; wait() gives the kernel all of them
 * and sleeps in one system call. What has ended lies in the completion ring, which is read without
 * the kernel, so that a wait(WEFT_NOW) with nothing to submit and nothing flagged costs some loads.
 *
 *     start() --> in reactor->queue --> the kernel's --------------> done()
 *       |         while the ring        ^  |  |                      ^
 *       |         is full               |  |  | EAGAIN               |
 *       |             |                 |  |  v                      |
 *       +-------------|-----------------+  |  PAUSING: a poll or a --+ cancelled
 *                     | cancel()           |  timer is the kernel's  |
 *                     +-> reactor->ended --|-------------------------+
 *                                          +-> again when ready
 *
 * An entry carries the operation's address, so a cancellation is an entry with the same: the ring
 * is read in order, and an operation that is started later in the same memory comes after it.
 *
 * The kernel waits by itself where it can. Where it gives EAGAIN (before Linux 6.4 for non-blocking
 * pipes, in older ones for non-blocking listeners), a poll for what is missing goes before the next
 * try. A Unix socket's connect() to a listener with a full backlog has nothing to poll for; such
 * a connect() is a plain system call, every RETRY_NS. A poll for nothing but errors of a file that
 * has none is refused (EINVAL); it waits in reactor->never to be cancelled.
 *
 * The ring is made for one thread, whose completions are worked out only when it enters the kernel
 * (DEFER_TASKRUN, Linux 6.1), or with less than that on older kernels, down to 5.10 (levels[]).
 * Deferred completions do not wake an epoll that the ring lies in (as of Linux 6.18), so a ring
 * that a foreign loop shall watch is replaced by one that does not defer them.
 *
 * The kernel keeps completions for which there is no room; until they are taken old kernels accept
 * nothing (EBUSY), newer ones say so by a flag. What the kernel cannot take, for want of memory
 * (EAGAIN), is offered again every RETRY_NS.
 *
 * Wake-ups come by an eventfd that the ring polls: for good (multishot, Linux 5.13), or anew each
 * time. Timeouts are the waiting call's own (EXT_ARG, 5.11), or liburing adds a timer that ends
 * with the next completion.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#include "io/attempt.h"
#include "io/fault.h"
#include "io/uring_fill.h"
#include "io/waker.h"

enum {
    ENTRIES = 256,          /* that can be written before the kernel must take them */
    COMPLETIONS = 2048,     /* of which the kernel keeps more by itself */
    MOST_BYTES = 0x7ffff000 /* the kernel moves no more at a time */
};

#define RETRY_NS WEFT_MS

/* Addresses of operations are none of these. */
enum { NOBODY_DATA = 0, WAKER_DATA = 1 };

/* Flags in op->state[0]; op->state[1] is the error that a test wants instead of it, or 0. */
enum {
    LISTED = 1,    /* the kernel does not have it: it is in queue or never */
    PAUSING = 2,   /* what the kernel has, or will get, is its pause */
    CANCELLED = 4, /* cancel() was called */
};

struct uring {
    struct reactor base;
    struct io_uring ring;
    struct waker waker;
    bool multishot;      /* the waker's poll stays */
    bool waker_unheard;  /* it is to be polled anew */
    struct list queue;   /* want an entry */
    struct list cancels; /* the kernel's, want an entry to be cancelled */
    struct list never;
    struct list ended; /* done() is due */
    struct __kernel_timespec retry;
};

static struct uring *of(struct reactor *reactor)
{
    return (struct uring *)reactor;
}

static bool is_unix_connect(const struct io_op *op)
{
    return op->code == IO_CONNECT && op->address->sa_family == AF_UNIX;
}

/* Entries. */

/* NULL: the ring is full, and the kernel takes nothing at present. */
static struct io_uring_sqe *entry(struct uring *u, struct io_op *op)
{
    if (fault(FAULT_RING, op))
        return NULL;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (sqe)
        return sqe;
    (void)io_uring_submit(&u->ring);
    return io_uring_get_sqe(&u->ring);
}

static void fill_operation(struct io_uring_sqe *sqe, struct io_op *op)
{
    int forced = fault(FAULT_OP, op);
    size_t size = op->size < MOST_BYTES ? op->size : MOST_BYTES;
    if (forced > 0 && (size_t)forced < size)
        size = (size_t)forced;
    op->state[1] = forced < 0 ? (uint64_t)-forced : 0;
    if (forced < 0)
        io_uring_prep_nop(sqe);
    else
        uring_fill(sqe, op, (unsigned)size);
}

/* What has to come before the operation is tried again. */
static void fill_pause(struct uring *u, struct io_uring_sqe *sqe, struct io_op *op)
{
    if (is_unix_connect(op))
        io_uring_prep_timeout(sqe, &u->retry, 0, 0);
    else
        io_uring_prep_poll_add(sqe, op->fd, (unsigned)io_events(op));
}

/* Gives an operation, or its pause, to the kernel; if the ring is full, later. */
static void submit(struct uring *u, struct io_op *op)
{
    struct io_uring_sqe *sqe = list_empty(&u->queue) ? entry(u, op) : NULL;
    if (!sqe) {
        op->state[0] |= LISTED;
        list_push_back(&u->queue, &op->link);
        return;
    }
    if (op->state[0] & PAUSING)
        fill_pause(u, sqe, op);
    else
        fill_operation(sqe, op);
    io_uring_sqe_set_data(sqe, op);
}

static void pause_first(struct uring *u, struct io_op *op)
{
    op->state[0] |= PAUSING;
    submit(u, op);
}

/* Returns 0: it is under way; 1: it has ended. */
static int connect_unix(struct uring *u, struct io_op *op)
{
    op->result = io_attempt(op);
    if (op->result != -EAGAIN)
        return 1;
    pause_first(u, op);
    return 0;
}

static int start(struct reactor *reactor, struct io_op *op)
{
    struct uring *u = of(reactor);
    op->state[0] = op->state[2] = 0;
    if (op->code == IO_FUTEX && !u->base.futexes) {
        op->result = -EOPNOTSUPP;
        return 1;
    }
    if (!is_unix_connect(op))
        submit(u, op);
    else if (connect_unix(u, op))
        return 1;
    u->base.under_way++;
    return 0;
}

/* False: no room. */
static bool submit_cancel(struct uring *u, struct io_op *op)
{
    struct io_uring_sqe *sqe = entry(u, NULL);
    if (!sqe)
        return false;
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data64(sqe, NOBODY_DATA);
    return true;
}

static void cancel(struct reactor *reactor, struct io_op *op)
{
    struct uring *u = of(reactor);
    if (op->state[0] & CANCELLED)
        return;
    op->state[0] |= CANCELLED;
    if (op->state[0] & LISTED) {
        list_remove(&op->link);
        list_push_back(&u->ended, &op->link);
        return;
    }
    list_init(&op->link);
    if (!submit_cancel(u, op))
        list_push_back(&u->cancels, &op->link);
}

/* Multishot, the kernel tells of each write to the eventfd; else of the first. */
static void listen_to_waker(struct uring *u)
{
    struct io_uring_sqe *sqe = entry(u, NULL);
    u->waker_unheard = !sqe;
    if (!sqe)
        return;
    if (u->multishot)
        io_uring_prep_poll_multishot(sqe, u->waker.fd, POLLIN);
    else
        io_uring_prep_poll_add(sqe, u->waker.fd, POLLIN);
    io_uring_sqe_set_data64(sqe, WAKER_DATA);
}

/* What found the ring full may find room now. */
static void submit_listed(struct uring *u)
{
    struct list listed;
    list_init(&listed);
    list_splice_back(&listed, &u->queue);
    for (struct list *link; (link = list_pop_front(&listed));) {
        struct io_op *op = CONTAINER(link, struct io_op, link);
        op->state[0] &= ~(uint64_t)LISTED;
        submit(u, op);
    }
    list_splice_back(&listed, &u->cancels);
    for (struct list *link; (link = list_pop_front(&listed));)
        if (!submit_cancel(u, CONTAINER(link, struct io_op, link)))
            list_push_back(&u->cancels, link);
    if (u->waker_unheard)
        listen_to_waker(u);
}

/* Completions. */

static void end(struct uring *u, struct io_op *op, ssize_t result)
{
    if (op->state[0] & CANCELLED)
        list_remove(&op->link); /* from cancels, if it is there */
    op->result = result;
    u->base.under_way--;
    op->done(op);
}

/* The pause is over. True: the operation has ended with op->result. */
static bool resume(struct uring *u, struct io_op *op, int result)
{
    op->state[0] &= ~(uint64_t)PAUSING;
    op->result = op->state[0] & CANCELLED ? -ECANCELED : result;
    if (op->result < 0 && op->result != -ETIME)
        return true;
    if (is_unix_connect(op))
        return connect_unix(u, op);
    submit(u, op);
    return false;
}

/* The operation did not go through, but may yet. False: the result is final. */
static bool goes_on(struct uring *u, struct io_op *op, int result)
{
    if (op->code == IO_FUTEX)
        return false;
    if (result == -EAGAIN)
        pause_first(u, op);
    else if (result == -EINTR || (result == -ECONNABORTED && op->code == IO_ACCEPT))
        submit(u, op);
    else
        return false;
    return true;
}

/* It waits for what never comes. */
static bool is_vain(const struct io_op *op, int result)
{
    return result == -EINVAL && op->code == IO_POLL && !op->flags;
}

/* What the kernel says of an operation. 1: it has ended. */
static int complete(struct uring *u, struct io_op *op, int result)
{
    if (op->state[0] & PAUSING) {
        if (!resume(u, op, result))
            return 0;
        result = (int)op->result;
    } else if (op->state[1]) {
        result = -(int)op->state[1];
    }
    if (op->state[0] & CANCELLED) {
        if (result == -EAGAIN || result == -EINTR)
            result = -ECANCELED;
    } else if (is_vain(op, result)) {
        op->state[0] |= LISTED;
        list_push_back(&u->never, &op->link);
        return 0;
    } else if (goes_on(u, op, result)) {
        return 0;
    }
    end(u, op, result);
    return 1;
}

static void hear_waker(struct uring *u, unsigned flags)
{
    eventfd_t count;
    if (flags & IORING_CQE_F_MORE)
        return;
    if (!u->multishot)
        (void)eventfd_read(u->waker.fd, &count);
    listen_to_waker(u);
}

/* Takes what is in the completion ring now. How many operations have ended. */
static int take_completions(struct uring *u)
{
    int count = 0;
    for (unsigned n = io_uring_cq_ready(&u->ring); n; n--) {
        unsigned head = *u->ring.cq.khead;
        const struct io_uring_cqe *at = &u->ring.cq.cqes[head & u->ring.cq.ring_mask];
        struct io_uring_cqe cqe = { .user_data = at->user_data,
                                    .res = at->res,
                                    .flags = at->flags };
        io_uring_cq_advance(&u->ring, 1); /* first: done() may cause more */
        if (cqe.user_data == WAKER_DATA)
            hear_waker(u, cqe.flags);
        else if (cqe.user_data != NOBODY_DATA && cqe.user_data != LIBURING_UDATA_TIMEOUT)
            count += complete(u, io_uring_cqe_get_data(&cqe), cqe.res);
    }
    return count;
}

static int take_ended(struct uring *u)
{
    int count = 0;
    struct list ended; /* not what ends meanwhile */
    list_init(&ended);
    list_splice_back(&ended, &u->ended);
    for (struct list *link; (link = list_pop_front(&ended)); count++)
        end(u, CONTAINER(link, struct io_op, link), -ECANCELED);
    return count;
}

/* Waiting. */

/* The kernel has completions to work out, or to put into the ring. */
static bool is_flagged(const struct uring *u)
{
    return IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static int submit_and_look(struct uring *u)
{
    if (!io_uring_sq_ready(&u->ring) && !is_flagged(u))
        return 0;
    int forced = fault(FAULT_WAIT, NULL);
    return forced < 0 ? forced : io_uring_submit_and_get_events(&u->ring);
}

static int submit_and_sleep(struct uring *u, weft_deadline deadline)
{
    struct io_uring_cqe *first;
    int forced = fault(FAULT_WAIT, NULL);
    if (forced < 0)
        return forced;
    int64_t ns = weft_left(deadline);
    if (ns == INT64_MAX)
        return io_uring_submit_and_wait(&u->ring, 1);
    struct __kernel_timespec left = { .tv_sec = ns / WEFT_S, .tv_nsec = ns % WEFT_S };
    int rc = io_uring_submit_and_wait_timeout(&u->ring, &first, 1, &left, NULL);
    waker_interrupted();
    return rc;
}

/* The kernel has no memory for what it was given: it is asked again a little later. */
static void let_it_recover(struct uring *u, int rc, weft_deadline deadline)
{
    struct timespec pause = { .tv_nsec = RETRY_NS };
    bool asks_again = deadline.ns > 0 || u->waker.exposed;
    if ((rc == -EAGAIN || rc == -ENOMEM) && asks_again && !io_uring_cq_ready(&u->ring))
        nanosleep(&pause, NULL);
}

/* Something found the ring full. */
static bool is_starved(const struct uring *u)
{
    return u->waker_unheard || !list_empty(&u->queue) || !list_empty(&u->cancels);
}

/* One look at the kernel, or one sleep in it. True: woken. */
static bool gather(struct uring *u, weft_deadline deadline)
{
    int rc;
    if (is_starved(u))
        submit_listed(u);
    if (is_starved(u))
        deadline = weft_sooner(deadline, weft_after(RETRY_NS));
    bool wants_sleep = deadline.ns > 0 && !io_uring_cq_ready(&u->ring) && list_empty(&u->ended);
    bool sleeps = wants_sleep && waker_sleep(&u->waker);
    bool woken = wants_sleep && !sleeps;
    if (sleeps)
        rc = submit_and_sleep(u, waker_slice(deadline));
    else
        rc = submit_and_look(u);
    if (sleeps || u->waker.exposed)
        woken |= waker_awake(&u->waker);
    if (rc < 0)
        let_it_recover(u, rc, deadline);
    return woken;
}

/* A foreign loop relies on the kernel having everything. */
static bool must_submit(const struct uring *u)
{
    return u->waker.exposed && io_uring_sq_ready(&u->ring);
}

static int wait(struct reactor *reactor, weft_deadline deadline)
{
    struct uring *u = of(reactor);
    int count;
    bool woken = false;
    do {
        woken |= gather(u, woken ? WEFT_NOW : deadline);
        count = take_completions(u);
        if (!list_empty(&u->ended))
            count += take_ended(u);
    } while (!count && (must_submit(u) || (!woken && weft_left(deadline))));
    return count;
}

static void wake(struct reactor *reactor)
{
    waker_wake(&of(reactor)->waker);
}

/* Opening and closing. */

#define BEST (IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

static const struct level {
    int version; /* of Linux */
    unsigned flags;
} levels[] = {
    { 601, BEST | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN },
    { 600, BEST | IORING_SETUP_SINGLE_ISSUER },
    { 519, BEST },
    { 510, 0 },
};

/* Without them: an older kernel than 5.10, or something that only looks like io_uring. */
#define NEEDED                                                                                     \
    (IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS |                     \
     IORING_FEAT_FAST_POLL)

/* A ring at the highest level that the kernel, and the version that a test allows, has. */
static int open_ring(struct io_uring *ring, int version)
{
    int rc = -ENOSYS;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct io_uring_params params = { .cq_entries = COMPLETIONS };
        params.flags = levels[i].flags | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
        if (levels[i].version > version)
            continue;
        rc = io_uring_queue_init_params(ENTRIES, ring, &params);
        if (rc != -EINVAL)
            break;
    }
    return rc;
}

static int open_kernel(struct uring *u, int version)
{
    int rc = open_ring(&u->ring, version);
    if (rc < 0)
        return rc;
    if (~u->ring.features & NEEDED) {
        rc = -ENOSYS;
        goto close_ring;
    }
    if (version < 511)
        u->ring.features &= ~(unsigned)IORING_FEAT_EXT_ARG;
    u->base.futexes = version >= 607 && uring_has_futexes(&u->ring);
    u->multishot =
        version >= 513 && u->ring.features & IORING_FEAT_RSRC_TAGS; /* both came in 5.13 */
    rc = waker_open(&u->waker);
    if (rc < 0)
        goto close_ring;
    (void)io_uring_ring_dontfork(&u->ring);
    if (version >= 518)
        (void)io_uring_register_ring_fd(&u->ring); /* only saves time */
    return 0;
close_ring:
    io_uring_queue_exit(&u->ring);
    return rc;
}

/* Nothing is under way but the waker's poll, which is made anew. */
static int stop_deferring(struct uring *u)
{
    struct io_uring ring;
    int rc = open_ring(&ring, 600);
    if (rc < 0)
        return rc;
    io_uring_queue_exit(&u->ring);
    u->ring = ring;
    (void)io_uring_ring_dontfork(&u->ring);
    listen_to_waker(u);
    return 0;
}

static int expose(struct reactor *reactor)
{
    struct uring *u = of(reactor);
    int rc = 0;
    if (u->ring.flags & IORING_SETUP_DEFER_TASKRUN)
        rc = u->base.under_way ? -EBUSY : stop_deferring(u);
    if (rc < 0)
        return rc;
    waker_expose(&u->waker);
    (void)io_uring_submit(&u->ring);
    return u->ring.ring_fd;
}

static int open_reactor(struct reactor **ret)
{
    int forced = fault(FAULT_OPEN, NULL);
    if (forced < 0)
        return forced;
    struct uring *u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    u->base.ops = &uring_reactor;
    u->retry.tv_nsec = RETRY_NS;
    list_init(&u->queue);
    list_init(&u->cancels);
    list_init(&u->never);
    list_init(&u->ended);
    int rc = open_kernel(u, forced ? forced : INT32_MAX);
    if (rc < 0) {
        free(u);
        return rc;
    }
    listen_to_waker(u);
    *ret = &u->base;
    return 0;
}

static void close_reactor(struct reactor *reactor)
{
    struct uring *u = of(reactor);
    io_uring_queue_exit(&u->ring);
    waker_close(&u->waker);
    free(u);
}

const struct reactor_ops uring_reactor = {
    .name = "uring",
    .files = true,
    .open = open_reactor,
    .close = close_reactor,
    .start = start,
    .cancel = cancel,
    .wait = wait,
    .wake = wake,
    .fd = expose,
};
