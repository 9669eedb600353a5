/* SPDX-License-Identifier: MIT */
/*
 * weft/select.h: waiting for the first of several things.
 *
 *     weft_case cases[] = {
 *         { .op = WEFT_GET, .on.queue = urls, .item = &url },
 *         { .op = WEFT_NEXT, .on.group = fetches, .item = &future },
 *         { .op = WEFT_SET, .on.event = &interrupted },
 *     };
 *     switch (weft_select(cases, 3, WEFT_FOREVER)) {
 *     case 0: ...                                        cases[0].result: 0, or -EPIPE at the end
 *
 * Exactly one case happens, or none. When several could, one of them is picked at random, so that
 * none starves.
 */
#ifndef WEFT_SELECT_H
#define WEFT_SELECT_H

#include <weft/event.h>
#include <weft/future.h>
#include <weft/group.h>
#include <weft/queue.h>

WEFT_BEGIN

typedef enum weft_op {
    WEFT_GET = 1, /* weft_queue_get into item */
    WEFT_PUT,     /* weft_queue_put of item */
    WEFT_ENDED,   /* the future has ended: result is what weft_future_wait returns */
    WEFT_SET,     /* the event is set */
    WEFT_NEXT,    /* weft_group_next into item, a weft_future ** */
} weft_op;

typedef struct weft_case {
    weft_op op;
    union {
        weft_queue *queue;
        weft_future *future;
        weft_event *event;
        weft_group *group;
    } on; /* NULL: this case never happens */
    void *item;
    int result; /* of the case that happened: what the call named above returned */
} weft_case;

/* The most cases that one call takes. */
#define WEFT_CASES_MAX 64

/*
 * Waits until one of n cases can happen, and lets it happen.
 * Returns  the index of the case, its result set; -ETIMEDOUT (WEFT_NOW: none could); -ECANCELED;
 *          -EINVAL: more than WEFT_CASES_MAX cases, or an op that is none.
 * Blocks   yes; with no case at all, until the deadline.
 */
int weft_select(weft_case *cases, size_t n, weft_deadline deadline) WEFT_USE;

WEFT_END
#endif
