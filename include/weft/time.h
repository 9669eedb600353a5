/* SPDX-License-Identifier: MIT */
/*
 * weft/time.h: the clock and deadlines.
 *
 * Every call that can wait takes a deadline, an absolute time on CLOCK_MONOTONIC, as its last
 * parameter. It is a struct, so that a plain number passed by mistake does not compile:
 *
 *     weft_event_wait(&ready, WEFT_FOREVER);
 *     weft_event_wait(&ready, WEFT_NOW);                   only look, never wait
 *     weft_event_wait(&ready, weft_after(50 * WEFT_MS));
 *
 * One deadline serves a whole sequence of waits; no arithmetic on what is left is needed. All
 * arithmetic saturates: weft_after(INT64_MAX) is WEFT_FOREVER.
 */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <weft/base.h>

WEFT_BEGIN

/* Nanoseconds on CLOCK_MONOTONIC. 0 and less: always in the past; INT64_MAX: never. */
typedef struct weft_deadline {
    int64_t ns;
} weft_deadline;

#define WEFT_FOREVER (WEFT_LITERAL(weft_deadline){ INT64_MAX })
#define WEFT_NOW     (WEFT_LITERAL(weft_deadline){ 0 })

/* Units, to multiply with: 50 * WEFT_MS. */
#define WEFT_US INT64_C(1000)
#define WEFT_MS INT64_C(1000000)
#define WEFT_S  INT64_C(1000000000)

/* The time on CLOCK_MONOTONIC in nanoseconds. Signal-safe. */
int64_t weft_now(void);

/* The deadline that lies ns nanoseconds from now; negative: already past. Saturates. */
weft_deadline weft_after(int64_t ns);

/* The earlier of two deadlines. */
weft_deadline weft_sooner(weft_deadline a, weft_deadline b);

/* Nanoseconds left until a deadline: 0 when it has passed, INT64_MAX for WEFT_FOREVER. */
int64_t weft_left(weft_deadline deadline);

/*
 * Sleeps until a point in time.
 * Returns  0 at that time, at once if it is past; -ECANCELED: cancelled before; -ETIMEDOUT: the
 *          deadline of a scope around it came first.
 * Blocks   yes: the calling strand, and only that.
 */
int weft_sleep_until(weft_deadline when);

WEFT_END
#endif
