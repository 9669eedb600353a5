/* SPDX-License-Identifier: MIT */
/*
 * task/run.c: a worker without a thread of its own: somebody else's loop calls it.
 *
 * Between two calls the thread is no worker but a foreign thread, as its loop may start and wake
 * tasks; and the worker counts as asleep, so that whoever does so wakes its reactor. The descriptor
 * for the foreign loop is an epoll of two others: the reactor's own, and a timer that is set, at
 * the end of each call, to the time of the earliest sleeping task.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <weft/run.h>

#include "task/runtime.h"
#include "task/share.h"

enum { TURNS_MAX = 4096 };

static int watch_fd = -1, timer_fd = -1; /* the embedding thread's */

static int add(int epoll, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int open_fds(struct worker *worker)
{
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    watch_fd = epoll_create1(EPOLL_CLOEXEC);
    if (timer_fd >= 0 && watch_fd >= 0 && add(watch_fd, timer_fd) == 0 &&
        add(watch_fd, worker->reactor->ops->fd(worker->reactor)) == 0)
        return 0;
    int rc = -errno;
    if (timer_fd >= 0)
        close(timer_fd);
    if (watch_fd >= 0)
        close(watch_fd);
    timer_fd = watch_fd = -1;
    return rc;
}

static void set_timer(const struct worker *worker)
{
    const struct timer *first = timer_first(&worker->timers);
    int64_t ns = first && first->at_ns != INT64_MAX ? first->at_ns : 0;
    if (first && ns <= 0)
        ns = 1; /* 0 would unset it */
    struct itimerspec at = { .it_value = { .tv_sec = ns / WEFT_S, .tv_nsec = ns % WEFT_S } };
    if (timer_fd >= 0)
        timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void come_back(struct worker *worker)
{
    worker_current = worker;
    share_rouse(worker);
}

/* more: there is something to do already; the descriptor shall say so. */
static void go_away(struct worker *worker, bool more)
{
    worker_current = NULL;
    if (!share_doze(worker) || more)
        worker->reactor->ops->wake(worker->reactor);
    set_timer(worker);
}

static int embedded_worker(struct worker **ret)
{
    if (worker_current && worker_current->running)
        return -EINVAL;
    return runtime_embed(ret);
}

int weft_run_fd(void)
{
    struct worker *worker;
    int rc = embedded_worker(&worker);
    if (rc == 0 && watch_fd < 0)
        rc = open_fds(worker);
    if (rc < 0)
        return rc;
    come_back(worker);
    go_away(worker, worker->ready);
    return watch_fd;
}

int weft_run_once(weft_deadline deadline)
{
    struct worker *worker;
    int rc = embedded_worker(&worker);
    if (rc < 0)
        return rc;
    come_back(worker);
    unsigned ran = worker_run_ready(worker, TURNS_MAX);
    while (!ran && weft_left(deadline)) {
        ran = worker_sleep(worker, deadline);
        ran += worker_run_ready(worker, TURNS_MAX);
    }
    go_away(worker, ran >= TURNS_MAX);
    return ran ? (int)ran : -ETIMEDOUT;
}
