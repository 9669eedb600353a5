/* SPDX-License-Identifier: MIT */
/* transfers.h: the transfers that are under way in one multi handle, found by their easy handle. */
#ifndef WEFT_CURL_TRANSFERS_H
#define WEFT_CURL_TRANSFERS_H

#include <weft/event.h>

#include <curl/curl.h>

/* One call of weft_curl_perform() in a task, on the task's stack. */
struct transfer {
    CURL *easy;
    weft_deadline deadline;
    CURLcode code;   /* when it has ended */
    bool ended;      /* by itself: the handle is out of the multi handle */
    weft_event news; /* set: it has ended or is late, its task leads, or the engine is broken */

    struct transfer *same;           /* the next in its bucket */
    struct transfer *before, *after; /* in the order of coming; NULL at the ends */
};

struct transfers {
    struct transfer *first, *last;
    size_t count;
    struct transfer **buckets;
    size_t buckets_count; /* a power of 2; 0: none yet */
};

/* Adds one, which stays the caller's. Returns 0 or -ENOMEM. */
int transfers_add(struct transfers *transfers, struct transfer *transfer);

/* Takes one out that is there. */
void transfers_remove(struct transfers *transfers, struct transfer *transfer);

/* NULL: it is not there. */
struct transfer *transfers_find(const struct transfers *transfers, const CURL *easy);

/* Frees what transfers_add() allocated, when all are out. */
void transfers_deinit(struct transfers *transfers);

#endif
