/* SPDX-License-Identifier: MIT */
/*
 * io/waker.h: how other threads and signal handlers end a reactor's sleep: an eventfd that the
 * reactor watches, and a word that says whether writing to it is needed.
 *
 *                  waker_sleep()
 *           AWAKE --------------> ASLEEP
 *             ^  \                  |
 *             |   \ waker_wake()    | waker_wake(), which writes to the eventfd
 *             |    v                v
 *             +------- WOKEN <------+
 *          waker_sleep() (which then says no), waker_awake()
 *
 * So a wake-up of a thread that computes is one swap, and further ones until it sleeps cost no
 * system call either. Once a foreign event loop watches the descriptor (waker_expose()), "awake" is
 * ASLEEP all the same, since nobody knows when the loop sleeps.
 */
#ifndef WEFT_IO_WAKER_H
#define WEFT_IO_WAKER_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/time.h>

struct waker {
    int fd;         /* the eventfd, non-blocking; constant */
    uint32_t state; /* atomic */
    bool exposed;   /* only its owner's */
};

/* Returns 0; -EMFILE, -ENFILE, -ENOMEM. */
int waker_open(struct waker *waker);
void waker_close(struct waker *waker);

/* By any thread, and in a signal handler; everything else by the owner only. */
void waker_wake(struct waker *waker);

/* The owner wants to sleep. False: it must not, it has been woken, and that is used up. */
bool waker_sleep(struct waker *waker);

/* It has slept. True: it was woken, and that is used up. */
bool waker_awake(struct waker *waker);

/* From now on the eventfd becomes readable with every wake-up, if it was woken already with that.
 */
void waker_expose(struct waker *waker);

/*
 * How long to sleep at most, in one system call. ThreadSanitizer holds signal handlers back until
 * the thread makes a call that it knows, and the back ends' are none: under it sleep is sliced, and
 * waker_interrupted(), called after each slice, makes such a call.
 */
weft_deadline waker_slice(weft_deadline deadline);
void waker_interrupted(void);

#endif
