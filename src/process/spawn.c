/* SPDX-License-Identifier: MIT */
/*
 * process/spawn.c: the runner that starts a process for each call of a group.
 *
 * The process is forked while the group's start waits, so that "no room for another" is told to the
 * caller. Then a thread of this program watches it (remote.c): to the group the call looks as if it
 * ran in that thread. The call ends when its process has ended and was reaped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/remote.h"
#include "strand/thread.h"

struct process_runner {
    struct runner runner;
    const weft_options *options;
    struct process_origin *origin;
    struct thread_set watchers;
    uint64_t started; /* for names only */
};

/* One call and its process, from start to end. */
struct watch {
    struct process_runner *runner;
    struct process *process;
    weft_future *future;
};

static int admit(struct runner *runner, weft_fn *fn, const void *pointer)
{
    const struct process_runner *self = (const struct process_runner *)runner;
    return process_origin_sees_code(self->origin, (const void *)fn) && process_sees_memory(pointer)
               ? 0
               : -EFAULT;
}

/* Lets the process end by itself, as its call has. */
static void let_end(struct process_runner *runner, struct process *process)
{
    struct process_end end;
    weft_scope shield;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    process_finish(process);
    (void)process_wait(process, &end, weft_after(runner->options->grace_ns)); /* else killed */
    weft_scope_leave(&shield);
}

/* Whether the process has what the options ask for. If not, the call fails with its words. */
static bool is_ready(struct watch *watch, struct remote *ret)
{
    struct process_result failure;
    if (!watch->runner->origin || process_ready(watch->process, &failure, WEFT_FOREVER) != -ECHILD)
        return true; /* or cancelled, or dead: remote_run() finds that out */
    free(failure.result);
    memcpy(watch->future->call.text, failure.text, sizeof failure.text);
    *ret = (struct remote){ .fate = REMOTE_RETURNED, .status = failure.status };
    return false;
}

static void watch_main(void *ctx)
{
    struct watch *watch = ctx;
    struct remote remote;
    if (future_begin(watch->future)) {
        if (is_ready(watch, &remote))
            remote_run(&remote, watch->process, watch->future, watch->runner->options);
        future_leave_strand(watch->future);
        if (remote.usable)
            let_end(watch->runner, watch->process);
        process_close(watch->process);
        remote_end(&remote, watch->future);
    } else { /* cancelled before it began, and the owner was told */
        process_close(watch->process);
        future_unref(watch->future);
    }
    free(watch);
}

static int open_process(struct process_runner *runner, struct process **ret)
{
    char name[40];
    uint64_t number = add_relaxed(&runner->started, 1); /* relaxed: only for names */
    snprintf(name, sizeof name, "%.20s-%llu", runner->options->name, (unsigned long long)number);
    return process_open(ret, &(struct process_options){
                                 .name = name,
                                 .context = runner->options->context,
                                 .context_bytes = runner->options->context_bytes,
                                 .origin = runner->origin,
                             });
}

static int start(struct runner *base, weft_future *future, weft_deadline deadline)
{
    struct process_runner *runner = (struct process_runner *)base;
    (void)deadline;
    struct watch *watch = malloc(sizeof *watch);
    if (!watch)
        return -ENOMEM;
    *watch = (struct watch){ .runner = runner, .future = future };
    int rc = open_process(runner, &watch->process);
    if (rc < 0)
        goto no_process;
    rc = thread_start(&runner->watchers, watch_main, watch);
    if (rc < 0)
        goto no_watcher;
    return 0;

no_watcher:
    process_close(watch->process);
no_process:
    free(watch);
    return rc;
}

static void close_runner(struct runner *base)
{
    struct process_runner *runner = (struct process_runner *)base;
    thread_set_join(&runner->watchers);
    process_origin_close(runner->origin);
    free(runner);
}

static const struct runner_ops process_runner_ops = {
    .start = start,
    .admit = admit,
    .close = close_runner,
};

int process_runner_open(struct runner **ret, const weft_options *options)
{
    if (!process_available())
        return -ENOTCONN;
    if (options->context_bytes == WEFT_POINTER && !process_sees_memory(options->context))
        return -EFAULT;
    struct process_runner *runner = malloc(sizeof *runner);
    if (!runner)
        return -ENOMEM;
    *runner = (struct process_runner){ .runner = { &process_runner_ops }, .options = options };
    int rc = process_origin_open(&runner->origin, options);
    if (rc < 0) {
        free(runner);
        return rc;
    }
    thread_set_init(&runner->watchers, options->name, 0);
    *ret = &runner->runner;
    return 0;
}
