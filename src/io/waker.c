/* SPDX-License-Identifier: MIT */
/* io/waker.c: see io/waker.h. */
#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/sanitizer.h"
#include "io/waker.h"

enum { AWAKE, ASLEEP, WOKEN };

int waker_open(struct waker *waker)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    *waker = (struct waker){ .fd = fd, .state = AWAKE };
    return 0;
}

void waker_close(struct waker *waker)
{
    close(waker->fd);
}

void waker_wake(struct waker *waker)
{
    /* acq_rel: release pairs with the acquire half of the swaps below: who is woken sees what its
       waker did before. */
    if (swap_acq_rel(&waker->state, WOKEN) != ASLEEP)
        return;
    int before = errno; /* a signal handler must not change it */
    (void)eventfd_write(waker->fd, 1);
    errno = before;
}

static uint32_t resting(const struct waker *waker)
{
    return waker->exposed ? ASLEEP : AWAKE;
}

bool waker_sleep(struct waker *waker)
{
    uint32_t state = resting(waker);
    /* acq_rel: a wake-up is either seen here, or sees ASLEEP and writes to the eventfd */
    if (cas_acq_rel(&waker->state, &state, ASLEEP))
        return true;
    waker_awake(waker);
    return false;
}

bool waker_awake(struct waker *waker)
{
    /* acq_rel: acquire pairs with the release in waker_wake() */
    return swap_acq_rel(&waker->state, resting(waker)) == WOKEN;
}

void waker_expose(struct waker *waker)
{
    if (waker->exposed)
        return;
    waker->exposed = true;
    if (waker_awake(waker))
        waker_wake(waker);
}

weft_deadline waker_slice(weft_deadline deadline)
{
    return THREAD_SANITIZER ? weft_sooner(deadline, weft_after(100 * WEFT_MS)) : deadline;
}

void waker_interrupted(void)
{
    int before = errno;
    if (THREAD_SANITIZER)
        nanosleep(&(struct timespec){ 0 }, NULL);
    errno = before;
}
