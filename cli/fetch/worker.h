/* SPDX-License-Identifier: MIT */
/* What a worker keeps from one attempt to the next, and knows of the one that it runs. */
#ifndef FETCH_WORKER_H
#define FETCH_WORKER_H

#include "saver.h"
#include "transfer.h"

#include <curl/curl.h>

/* Of kind tasks, libcurl calls back in whichever task drives the worker's transfers at the moment,
 * so a callback goes by its pointer alone. It does not park, and it writes to files: what a write
 * to the page cache takes, all transfers of that thread can wait for. */
struct worker {
    CURL *easy;
    struct saver saver;

    /* Of the attempt that runs. */
    const struct plan *plan;
    const struct task *task;
    uint64_t body_bytes;
    bool judged;    /* the status has been looked at: `keep` is known */
    bool keep;      /* the body is to be saved */
    bool too_large; /* the body has passed the limit */
    int save_error; /* negative errno; 0: none */
    char libcurl_says[CURL_ERROR_SIZE];
};

/* Tells what kind of failure an attempt ended in, from what weft_curl_perform() returned and its
 * code, and writes the reason, for people, "" for none. */
enum failure classify(const struct worker *worker, int rc, CURLcode code, char *reason);

#endif
