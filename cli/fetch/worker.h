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
    const struct plan *plan;
    struct worker *next; /* of those that are idle, where they are not bound to strands */

    /* Of the attempt that runs. */
    const struct task *task;
    uint64_t body_bytes;
    bool judged;    /* the status has been looked at: `keep` is known */
    bool keep;      /* the body is to be saved */
    bool too_large; /* the body has passed the limit */
    int save_error; /* negative errno; 0: none */
    char libcurl_says[CURL_ERROR_SIZE];
};

/* Makes a worker, to be closed; the plan is borrowed until then. Returns 0 or -errno. */
int worker_open(struct worker **ret_worker, const struct plan *plan);
void worker_close(struct worker *worker);

/* What became of an attempt. */
struct attempt {
    char reason[REASON_MAX];   /* for people; "": none */
    char file[SAVER_NAME_MAX]; /* that the body was saved in; "": none */
    const char *final_url;     /* where a redirection led, or ""; the worker's, until its next */
    struct result result;      /* the numbers; must be last */
};

/* Makes one attempt. A cancellation of the calling strand ends it (FAILURE_STOPPED). */
void worker_attempt(struct worker *worker, const struct task *task, struct attempt *ret);

/* Its result with the strings: how many bytes that will be, and these bytes. In this order. */
size_t attempt_bytes(struct attempt *attempt);
void attempt_pack(const struct attempt *attempt, void *bytes);

/* Tells what kind of failure an attempt ended in, from what weft_curl_perform() returned and its
 * code, and writes the reason, for people, "" for none. */
enum failure classify(const struct worker *worker, int rc, CURLcode code, char *reason);

#endif
