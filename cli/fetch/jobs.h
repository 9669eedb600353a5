/* SPDX-License-Identifier: MIT */
/* The URLs that have been taken from the input and are not done: in flight with a worker, or
 * waiting until it is time to try them again. Used by one strand. */
#ifndef FETCH_JOBS_H
#define FETCH_JOBS_H

#include "input.h"
#include "transfer.h"

struct job {
    struct job *next;    /* of those with the same hash */
    weft_future *future; /* in flight: owned */
    uint64_t index;      /* in flight: of its call in the group */
    int64_t due_ns;      /* waiting: when to try again */
    uint32_t attempts;   /* so far, the one in flight included */
    struct origin origin;
    uint32_t worker;     /* that made the attempt before */
    struct result *last; /* of the attempt before, owned; NULL: none, or it gave none */
    size_t task_bytes;
    struct task task; /* must be last: the URL follows */
};

/* Returns NULL: out of memory. */
struct job *job_make(uint64_t number, const char *url, size_t length, struct origin origin);
void job_free(struct job *job); /* NULL is allowed */

/* Keeps a copy of the result. Returns 0 or -ENOMEM. */
int job_keep_result(struct job *job, const struct result *result, size_t bytes);

struct jobs {
    struct job **buckets; /* in flight, by index */
    size_t buckets_count; /* a power of 2 */
    size_t in_flight;
    struct job **waiting; /* a heap, the soonest first */
    size_t waiting_count, waiting_max;
};

/* Room for waiting_max jobs that wait. Returns 0 or -ENOMEM. */
int jobs_init(struct jobs *jobs, size_t in_flight_max, size_t waiting_max);

/* Frees the jobs, too. */
void jobs_deinit(struct jobs *jobs);

/* In flight: adds a job (taken) whose index is set; takes it out again, NULL if it is not there. */
void jobs_fly(struct jobs *jobs, struct job *job);
struct job *jobs_land(struct jobs *jobs, uint64_t index);

/* Cancels those in flight that no worker has begun. */
void jobs_cancel_pending(struct jobs *jobs);

/* Waiting: adds a job (taken), of which there is room; gives the soonest if it is due at now_ns, or
 * NULL; gives any. */
void jobs_wait(struct jobs *jobs, struct job *job);
struct job *jobs_due(struct jobs *jobs, int64_t now_ns);

/* When the soonest is due; INT64_MAX: none waits. */
int64_t jobs_next_due(const struct jobs *jobs);

#endif
