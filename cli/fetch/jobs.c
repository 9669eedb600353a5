/* SPDX-License-Identifier: MIT */
/* Two collections of the same jobs: a hash table of those in flight, since a call that has
 * ended gives back only its index; and a binary heap of those that wait, so that waiting costs no
 * worker. A job is in exactly one of them, or in the hands of the driver. */
#include "jobs.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct job *job_make(uint64_t number, const char *url, size_t length, struct origin origin)
{
    struct job *job = malloc(sizeof *job + length + 1);

    if (job == NULL)
        return NULL;
    memset(job, 0, sizeof *job);
    job->origin = origin;
    job->task.number = number;
    memcpy(job->task.url, url, length);
    job->task.url[length] = '\0';
    job->task_bytes = offsetof(struct task, url) + length + 1;
    return job;
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    weft_future_close(job->future);
    free(job->last);
    free(job);
}

int job_keep_result(struct job *job, const struct result *result, size_t bytes)
{
    struct result *copy = realloc(job->last, bytes);

    if (copy == NULL)
        return -ENOMEM;
    job->last = memcpy(copy, result, bytes);
    return 0;
}

int jobs_init(struct jobs *jobs, size_t in_flight_max, size_t waiting_max)
{
    *jobs = (struct jobs){ .buckets_count = 64, .waiting_max = waiting_max };
    while (jobs->buckets_count < in_flight_max)
        jobs->buckets_count *= 2;
    jobs->buckets = calloc(jobs->buckets_count, sizeof(struct job *));
    jobs->waiting = calloc(waiting_max, sizeof(struct job *));
    if (jobs->buckets != NULL && jobs->waiting != NULL)
        return 0;
    jobs_deinit(jobs);
    return -ENOMEM;
}

void jobs_deinit(struct jobs *jobs)
{
    for (size_t i = 0; jobs->buckets != NULL && i < jobs->buckets_count; i++) {
        while (jobs->buckets[i] != NULL) {
            struct job *job = jobs->buckets[i];
            jobs->buckets[i] = job->next;
            job_free(job);
        }
    }
    for (size_t i = 0; jobs->waiting != NULL && i < jobs->waiting_count; i++)
        job_free(jobs->waiting[i]);
    free(jobs->buckets);
    free(jobs->waiting);
    *jobs = (struct jobs){ 0 };
}

static struct job **bucket(struct jobs *jobs, uint64_t index)
{
    return &jobs->buckets[index & (jobs->buckets_count - 1)];
}

void jobs_fly(struct jobs *jobs, struct job *job)
{
    struct job **head = bucket(jobs, job->index);

    job->next = *head;
    *head = job;
    jobs->in_flight++;
}

struct job *jobs_land(struct jobs *jobs, uint64_t index)
{
    for (struct job **at = bucket(jobs, index); *at != NULL; at = &(*at)->next) {
        struct job *job = *at;
        if (job->index == index) {
            *at = job->next;
            jobs->in_flight--;
            return job;
        }
    }
    return NULL;
}

void jobs_cancel_pending(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->buckets_count; i++)
        for (struct job *job = jobs->buckets[i]; job != NULL; job = job->next)
            if (weft_future_outcome(job->future)->how == WEFT_PENDING)
                weft_future_cancel(job->future);
}

static void swap(struct job **a, struct job **b)
{
    struct job *old = *a;

    *a = *b;
    *b = old;
}

void jobs_wait(struct jobs *jobs, struct job *job)
{
    struct job **heap = jobs->waiting;
    size_t i = jobs->waiting_count++;

    heap[i] = job;
    for (; i > 0 && heap[i]->due_ns < heap[(i - 1) / 2]->due_ns; i = (i - 1) / 2)
        swap(&heap[i], &heap[(i - 1) / 2]);
}

static void sift_down(struct job **heap, size_t count)
{
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++)
            if (heap[child]->due_ns < heap[least]->due_ns)
                least = child;
        if (least == i)
            return;
        swap(&heap[i], &heap[least]);
        i = least;
    }
}

struct job *jobs_due(struct jobs *jobs, int64_t now_ns)
{
    if (jobs_next_due(jobs) > now_ns || jobs->waiting_count == 0)
        return NULL;
    struct job *job = jobs->waiting[0];
    jobs->waiting[0] = jobs->waiting[--jobs->waiting_count];
    sift_down(jobs->waiting, jobs->waiting_count);
    return job;
}

int64_t jobs_next_due(const struct jobs *jobs)
{
    return jobs->waiting_count > 0 ? jobs->waiting[0]->due_ns : INT64_MAX;
}
