/* SPDX-License-Identifier: MIT */
/*
 * pool/spawn.c: the runner that starts a process for each call of a group.
 *
 * A group's crew has a member for each call that runs (crew->once): its process gets the call by
 * its lane, as a pool's does, and the supervisor watches over all of them. The process is forked
 * while the group's start waits, so that "no room for another" is told to the caller. The call ends
 * when its process has ended and was reaped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/program.h>

#include "pool/crew.h"
#include "pool/processes.h"

struct process_runner {
    struct runner runner;
    struct crew *crew;
    uint64_t started; /* for names only */
};

static int open_process(struct process_runner *runner, struct member *member)
{
    const weft_options *options = runner->crew->options;
    uint64_t number = add_relaxed(&runner->started, 1); /* relaxed: only for names */
    char name[40];
    snprintf(name, sizeof name, "%.20s-%llu", options->name, (unsigned long long)number);
    member_clear(member);
    return process_open(&member->process, &(struct process_options){
                                              .name = name,
                                              .context = options->context,
                                              .context_bytes = options->context_bytes,
                                              .lane = member->lane,
                                              .origin = runner->crew->origin,
                                              .worker = -1,
                                          });
}

/* Gives its process the call. Under the lock. 0; or an error, and nothing has changed. */
static int give(struct member *member, weft_future *future)
{
    struct crew *crew = member->crew;
    struct assignment *what = &member->assignments[0];
    struct batch *batch = lane_next(member->lane);
    *what = (struct assignment){ .attempt = 1 };
    if (!submitted_fill(&crew->submitted, what, batch, future) || !crew_add(crew, member)) {
        weft_shared_free(what->block);
        return -ENOMEM;
    }
    int rc = crew_supervise(crew);
    if (rc == 0)
        rc = supervisor_watch(member);
    if (rc < 0) {
        crew_remove(crew, member);
        weft_shared_free(what->block);
        return rc;
    }
    member->state = MEMBER_STARTING;
    member->look_ns = INT64_MAX;
    publish(member, what, batch);
    member->to_wake = false;
    lane_wake(member->lane);
    return 0;
}

/* Hands the call over. 0, also if it was cancelled meanwhile; or an error. */
static int hand_over(struct crew *crew, struct member *member, weft_future *future, bool *taken)
{
    struct harvest harvest;
    int rc = 0;
    harvest_init(&harvest);
    crew_enter(crew);
    *taken = future_assign(future);
    if (*taken) {
        rc = give(member, future);
        if (rc < 0) {
            future_unassign(future);
            *taken = false;
        }
    }
    crew_leave(crew, &harvest);
    return rc;
}

static int start(struct runner *base, weft_future *future, weft_deadline deadline)
{
    struct process_runner *runner = (struct process_runner *)base;
    (void)deadline;
    struct member *member = member_new(runner->crew);
    if (!member)
        return -ENOMEM;
    int rc = open_process(runner, member);
    if (rc < 0) {
        member_free(member);
        return rc;
    }
    bool taken;
    rc = hand_over(runner->crew, member, future, &taken);
    if (taken)
        return 0;
    process_close(member->process);
    member_free(member);
    if (rc == 0)
        future_unref(future); /* its cancellation has told the owner */
    return rc;
}

static void close_runner(struct runner *base)
{
    struct process_runner *runner = (struct process_runner *)base;
    crew_close(runner->crew);
    crew_free(runner->crew);
    free(runner);
}

static struct crew *crew_of(struct runner *base)
{
    return ((struct process_runner *)base)->crew;
}

static int wait_for(struct runner *base, weft_future *future, weft_deadline deadline)
{
    return processes_wait(crew_of(base), future, deadline);
}

static int admit(struct runner *base, weft_fn *fn, const void *pointer)
{
    return processes_admit(crew_of(base), fn, pointer);
}

static void hold(struct runner *base)
{
    crew_hold(crew_of(base));
}

static void cancel(struct runner *base, weft_future *future)
{
    processes_cancel(crew_of(base), future);
}

static const struct runner_ops process_runner_ops = {
    .start = start,
    .admit = admit,
    .wait = wait_for,
    .hold = hold,
    .cancel = cancel,
    .close = close_runner,
};

int process_runner_open(struct runner **ret, const weft_options *options)
{
    if (!process_available())
        return -ENOTCONN;
    if (options->context_bytes == WEFT_POINTER && !process_sees_memory(options->context))
        return -EFAULT;
    struct process_runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        return -ENOMEM;
    runner->runner.ops = &process_runner_ops;
    int rc = crew_open(&runner->crew, options, 0);
    if (rc < 0) {
        free(runner);
        return rc;
    }
    *ret = &runner->runner;
    return 0;
}
