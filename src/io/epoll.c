/* SPDX-License-Identifier: MIT */
/*
 * io/epoll.c: the reactor over epoll.
 *
 * An operation is attempted at once (io/attempt.h), and often that is all. If it would have to
 * wait, it joins the list of its descriptor, which epoll is told to watch, and is attempted again
 * whenever epoll reports something that concerns it.
 *
 *     start():  attempt --> ended, returns 1
 *                 | EAGAIN
 *                 v            an event,
 *              WAITING in  --- attempt ---> ENDED in reactor->ended --- wait(): done() --->
 *              descriptor->ops              ^
 *                 +-------- cancel() -------+
 *
 * Owned descriptors, those with an identity, are registered once, for all events and
 * edge-triggered: an edge that nobody waits for is dropped, as whoever comes next attempts first.
 * No edge is lost between an attempt and the registration, since EPOLL_CTL_ADD and MOD report what
 * holds already. So a request to an echo server costs epoll_wait(), recv() and send(), and with it
 * a recv() that finds nothing is saved: a TCP socket that gave less than was asked for is empty
 * (`drained`), and the next edge says when it no longer is. Not so when the peer has finished, an
 * error or urgent data has been seen: from then on (`restless`) every recv() is made. (A socket
 * with kernel TLS could hold back a control record; such sockets are not weft's.)
 *
 * Other descriptors can be closed behind weft's back at any time. They are registered for what is
 * wanted, for one event (EPOLLONESHOT), anew whenever something waits: MOD, or ADD if epoll does
 * not know the descriptor, which is how a stale entry of the table shows.
 *
 * The table is found by descriptor number; its pages never move. Events carry the number and half
 * of the identity, so that those of a closed descriptor whose open file lives on elsewhere, and
 * which epoll therefore still reports, do no harm.
 *
 * epoll refuses what is always ready (EPERM: regular files). Reading such succeeds at once, and so
 * does poll(), unless only for errors, which then never come: such an operation just waits to be
 * cancelled. A Unix socket's connect() to a listener with a full backlog has nothing to wait for at
 * all, and is attempted every RETRY_NS.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "io/attempt.h"
#include "io/fault.h"
#include "io/waker.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* the same number on every architecture */
#endif

enum {
    EVENTS_MAX = 128, /* taken from the kernel at a time */
    PAGE = 256,       /* descriptors */
    OWNED_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI,
    BROKEN_EVENTS = EPOLLERR | EPOLLHUP,
};

#define RETRY_NS   WEFT_MS
#define WAKER_DATA UINT64_MAX

enum op_state { WAITING, ENDED }; /* op->state[0] */

struct descriptor {
    struct list ops;   /* that wait */
    uint64_t identity; /* whose lasting registration there is; 0: there is none */
    bool is_tcp;       /* these are about the identity */
    bool drained;
    bool restless;
};

struct epoll {
    struct reactor base;
    int fd;
    struct waker waker;
    bool has_pwait2;
    struct descriptor **pages; /* by number / PAGE; NULL: none of these yet */
    size_t pages_count;
    struct list ended;   /* done() is due */
    struct list retries; /* connecting to a busy Unix listener */
    struct epoll_event events[EVENTS_MAX];
};

static struct epoll *of(struct reactor *reactor)
{
    return (struct epoll *)reactor;
}

/* The table. */

static struct descriptor *find(const struct epoll *e, int fd)
{
    size_t page = (size_t)fd / PAGE; /* a negative one is beyond every table */
    return page < e->pages_count && e->pages[page] ? &e->pages[page][fd % PAGE] : NULL;
}

static struct descriptor *make_page(void)
{
    struct descriptor *page = calloc(PAGE, sizeof *page);
    for (int i = 0; page && i < PAGE; i++)
        list_init(&page[i].ops);
    return page;
}

static int grow(struct epoll *e, size_t count)
{
    struct descriptor **pages = realloc(e->pages, count * sizeof *pages);
    if (!pages)
        return -ENOMEM;
    while (e->pages_count < count)
        pages[e->pages_count++] = NULL;
    e->pages = pages;
    return 0;
}

/* NULL: no memory. */
static struct descriptor *find_or_make(struct epoll *e, int fd)
{
    size_t page = (size_t)fd / PAGE;
    if (page >= e->pages_count && grow(e, page + 1) < 0)
        return NULL;
    if (!e->pages[page])
        e->pages[page] = make_page();
    return find(e, fd);
}

/* Registration. */

static uint64_t data_of(int fd, uint64_t identity)
{
    return identity << 32 | (uint32_t)fd;
}

static int control(struct epoll *e, int how, struct io_op *op, uint32_t events, uint64_t identity)
{
    struct epoll_event event = { .events = events, .data.u64 = data_of(op->fd, identity) };
    int forced = fault(FAULT_WATCH, op);
    if (forced < 0)
        return forced;
    return epoll_ctl(e->fd, how, op->fd, &event) < 0 ? -errno : 0;
}

/* ADD or MOD, beginning with the likelier one. */
static int control_either(struct epoll *e, int how, struct io_op *op, uint32_t events,
                          uint64_t identity)
{
    int rc = control(e, how, op, events, identity);
    if (rc == -ENOENT)
        rc = control(e, EPOLL_CTL_ADD, op, events, identity);
    else if (rc == -EEXIST)
        rc = control(e, EPOLL_CTL_MOD, op, events, identity);
    return rc == -EPERM ? 0 : rc; /* always ready: nothing to wait for */
}

static bool is_tcp(int fd)
{
    int protocol;
    socklen_t size = sizeof protocol;
    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
           protocol == IPPROTO_TCP;
}

/* The descriptor's owner wants it watched: for good. */
static int register_owned(struct epoll *e, struct descriptor *d, struct io_op *op)
{
    int rc = control_either(e, EPOLL_CTL_ADD, op, OWNED_EVENTS | EPOLLET, op->identity);
    d->identity = rc == 0 ? op->identity : 0;
    d->is_tcp = rc == 0 && is_tcp(op->fd);
    d->drained = d->restless = false;
    return rc;
}

static uint32_t wanted_by_all(const struct descriptor *d)
{
    uint32_t events = 0;
    LIST_FOREACH (link, &d->ops)
        events |= (uint32_t)io_events(CONTAINER(link, struct io_op, link));
    return events;
}

/* Somebody's descriptor: until the next event. */
static int register_once(struct epoll *e, struct descriptor *d, struct io_op *op)
{
    if (d->identity) { /* is it still the owned one? Then it is registered for everything. */
        int rc = control(e, EPOLL_CTL_MOD, op, OWNED_EVENTS | EPOLLET, d->identity);
        if (rc != -ENOENT)
            return rc;
        d->identity = 0;
    }
    uint32_t events = wanted_by_all(d) | (uint32_t)io_events(op) | EPOLLONESHOT;
    return control_either(e, EPOLL_CTL_MOD, op, events, 0);
}

static int register_for(struct epoll *e, struct descriptor *d, struct io_op *op)
{
    if (!op->identity)
        return register_once(e, d, op);
    return d->identity == op->identity ? 0 : register_owned(e, d, op);
}

/* Operations. */

static bool is_input(const struct io_op *op)
{
    return op->code != IO_POLL && io_events(op) == POLLIN;
}

static bool concerns(uint32_t events, const struct io_op *op)
{
    uint32_t wanted = (uint32_t)io_events(op) | BROKEN_EVENTS;
    if (wanted & EPOLLIN)
        wanted |= EPOLLRDHUP | EPOLLPRI;
    return events & wanted;
}

/* Nothing to be had: it need not be attempted. d may be NULL. */
static bool is_drained(const struct descriptor *d, const struct io_op *op)
{
    return d && d->drained && op->identity == d->identity && is_input(op);
}

/* What an attempt tells of the descriptor. d may be NULL. */
static void learn(struct descriptor *d, const struct io_op *op, ssize_t result)
{
    if (!d || !d->is_tcp || d->restless || op->identity != d->identity)
        return;
    if (op->code == IO_RECV && !op->flags && result > 0 && (size_t)result < op->size)
        d->drained = true;
}

static ssize_t attempt(struct descriptor *d, struct io_op *op)
{
    if (is_drained(d, op))
        return -EAGAIN;
    ssize_t result = io_attempt(op);
    learn(d, op, result);
    return result;
}

static void end(struct epoll *e, struct io_op *op, ssize_t result)
{
    op->state[0] = ENDED;
    op->result = result;
    list_remove(&op->link);
    list_push_back(&e->ended, &op->link);
}

static bool must_be_retried(const struct io_op *op)
{
    return op->code == IO_CONNECT && !io_connecting(op);
}

/* Makes an operation wait. 0, or why it cannot. */
static int enlist(struct epoll *e, struct io_op *op)
{
    struct list *list = &e->retries;
    if (!must_be_retried(op)) {
        struct descriptor *d = find_or_make(e, op->fd);
        int rc = d ? register_for(e, d, op) : -ENOMEM;
        if (rc < 0)
            return rc;
        list = &d->ops;
    }
    op->state[0] = WAITING;
    list_push_back(list, &op->link);
    return 0;
}

static int start(struct reactor *reactor, struct io_op *op)
{
    struct epoll *e = of(reactor);
    op->state[2] = 0;
    op->result = io_is_file(op) ? -EOPNOTSUPP : attempt(find(e, op->fd), op);
    if (op->result != -EAGAIN)
        return 1;
    op->result = enlist(e, op);
    if (op->result < 0)
        return 1;
    e->base.under_way++;
    return 0;
}

static void cancel(struct reactor *reactor, struct io_op *op)
{
    struct epoll *e = of(reactor);
    if (op->state[0] == WAITING)
        end(e, op, -ECANCELED);
}

/* Events. */

/* Attempts those that the events concern. */
static void attempt_waiting(struct epoll *e, struct descriptor *d, uint32_t events)
{
    for (struct list *link = d->ops.next, *next; link != &d->ops; link = next) {
        struct io_op *op = CONTAINER(link, struct io_op, link);
        next = link->next;
        if (!concerns(events, op))
            continue;
        ssize_t result = attempt(d, op);
        if (result != -EAGAIN)
            end(e, op, result);
    }
}

/* A registration for one event is used up; those who still wait need another. */
static void register_again(struct epoll *e, struct descriptor *d)
{
    if (d->identity || list_empty(&d->ops))
        return;
    int rc = register_once(e, d, CONTAINER(d->ops.next, struct io_op, link));
    while (rc < 0 && !list_empty(&d->ops))
        end(e, CONTAINER(d->ops.next, struct io_op, link), rc);
}

static void dispatch(struct epoll *e, const struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64;
    if (event->data.u64 == WAKER_DATA)
        return; /* edge-triggered: there is nothing to take back */
    struct descriptor *d = find(e, fd);
    if (!d || data_of(fd, d->identity) != event->data.u64)
        return; /* of one that was closed */
    if (event->events & (BROKEN_EVENTS | EPOLLRDHUP | EPOLLPRI))
        d->restless = true;
    d->drained = false;
    attempt_waiting(e, d, event->events);
    register_again(e, d);
}

/* Attempts to connect once more. Now it may have ended, be on its way, or wait here again. */
static void retry(struct epoll *e, struct io_op *op)
{
    ssize_t result = io_attempt(op);
    if (result == -EAGAIN && (result = enlist(e, op)) == 0)
        return;
    end(e, op, result);
}

static void retry_all(struct epoll *e)
{
    struct list due;
    list_init(&due);
    list_splice_back(&due, &e->retries);
    for (struct list *link; (link = list_pop_front(&due));)
        retry(e, CONTAINER(link, struct io_op, link));
}

/* Milliseconds, rounded up: never too early. */
static int milliseconds(int64_t ns)
{
    int64_t ms = ns / WEFT_MS + (ns % WEFT_MS > 0);
    return ms < INT32_MAX ? (int)ms : INT32_MAX;
}

/* How many events, or -errno. */
static int ask_kernel(struct epoll *e, weft_deadline deadline)
{
    int forced = fault(FAULT_WAIT, NULL);
    if (forced < 0)
        return forced;
    int n;
    int64_t ns = weft_left(deadline);
    if (ns == 0 || ns == INT64_MAX) {
        n = epoll_wait(e->fd, e->events, EVENTS_MAX, ns == 0 ? 0 : -1);
    } else if (e->has_pwait2) {
        struct timespec left = { .tv_sec = ns / WEFT_S, .tv_nsec = ns % WEFT_S };
        n = (int)syscall(SYS_epoll_pwait2, e->fd, e->events, EVENTS_MAX, &left, NULL, 0);
        waker_interrupted();
    } else {
        n = epoll_wait(e->fd, e->events, EVENTS_MAX, milliseconds(ns));
    }
    return n < 0 ? -errno : n;
}

/* One look at the kernel, or one sleep in it. True: woken. */
static bool gather(struct epoll *e, weft_deadline deadline)
{
    bool sleeps = deadline.ns > 0 && waker_sleep(&e->waker);
    bool woken = deadline.ns > 0 && !sleeps;
    if (!list_empty(&e->retries))
        deadline = weft_sooner(deadline, weft_after(RETRY_NS));
    int n = ask_kernel(e, sleeps ? waker_slice(deadline) : WEFT_NOW);
    if (sleeps || e->waker.exposed)
        woken |= waker_awake(&e->waker);
    for (int i = 0; i < n; i++)
        dispatch(e, &e->events[i]);
    if (!list_empty(&e->retries))
        retry_all(e);
    return woken;
}

static int call_done(struct epoll *e)
{
    int count = 0;
    struct list ended; /* not what ends meanwhile */
    list_init(&ended);
    list_splice_back(&ended, &e->ended);
    for (struct list *link; (link = list_pop_front(&ended)); count++) {
        struct io_op *op = CONTAINER(link, struct io_op, link);
        e->base.under_way--;
        op->done(op);
    }
    return count;
}

static int wait(struct reactor *reactor, weft_deadline deadline)
{
    struct epoll *e = of(reactor);
    if (deadline.ns <= 0 && !e->base.under_way && !e->waker.exposed)
        return 0;
    bool woken;
    do {
        woken = gather(e, list_empty(&e->ended) ? deadline : WEFT_NOW);
    } while (list_empty(&e->ended) && !woken && weft_left(deadline));
    return call_done(e);
}

static void wake(struct reactor *reactor)
{
    waker_wake(&of(reactor)->waker);
}

static int expose(struct reactor *reactor)
{
    struct epoll *e = of(reactor);
    waker_expose(&e->waker);
    return e->fd;
}

/* Opening and closing. */

static bool kernel_has_pwait2(void)
{
    struct epoll_event event;
    struct timespec none = { 0 };
    return syscall(SYS_epoll_pwait2, -1, &event, 1, &none, NULL, 0) < 0 && errno == EBADF;
}

static int open_kernel(struct epoll *e)
{
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    if (e->fd < 0)
        return -errno;
    int rc = waker_open(&e->waker);
    if (rc < 0)
        goto close_epoll;
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = WAKER_DATA };
    if (epoll_ctl(e->fd, EPOLL_CTL_ADD, e->waker.fd, &event) == 0)
        return 0;
    rc = -errno;
    waker_close(&e->waker);
close_epoll:
    close(e->fd);
    return rc;
}

static int open_reactor(struct reactor **ret)
{
    int forced = fault(FAULT_OPEN, NULL);
    if (forced < 0)
        return forced;
    struct epoll *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    e->base.ops = &epoll_reactor;
    list_init(&e->ended);
    list_init(&e->retries);
    int rc = open_kernel(e);
    if (rc < 0) {
        free(e);
        return rc;
    }
    e->has_pwait2 = (!forced || forced >= 511) && kernel_has_pwait2();
    *ret = &e->base;
    return 0;
}

static void close_reactor(struct reactor *reactor)
{
    struct epoll *e = of(reactor);
    for (size_t i = 0; i < e->pages_count; i++)
        free(e->pages[i]);
    free(e->pages);
    waker_close(&e->waker);
    close(e->fd);
    free(e);
}

const struct reactor_ops epoll_reactor = {
    .name = "epoll",
    .files = false,
    .open = open_reactor,
    .close = close_reactor,
    .start = start,
    .cancel = cancel,
    .wait = wait,
    .wake = wake,
    .fd = expose,
};
