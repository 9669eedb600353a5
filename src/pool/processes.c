/* SPDX-License-Identifier: MIT */
/*
 * pool/processes.c: the back end whose workers are processes. Each worker's thread owns one and
 * sends it one call at a time, so that when it dies it is known which call it was running: that
 * call has crashed, or is tried again on a fresh process, and nothing else is touched. A process
 * may also die between two calls; then the second has not begun, and goes to a fresh process.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "pool/pool.h"
#include "process/remote.h"

enum { UNBEGUN_MAX = 8 };

#define TERMINATED_LOOK_NS (100 * WEFT_MS)

static void say(struct open_failure *failure, int error, const char *what, const char *detail)
{
    failure->error = error;
    snprintf(failure->text, sizeof failure->text, "%s: %.120s", what, detail);
}

/* Waits for enter, which may take as long as it likes, unless the pool is terminated meanwhile. */
static int wait_for_enter(struct worker *worker, struct process_result *ret_failed)
{
    int rc;
    do
        rc = process_ready(worker->process, ret_failed, weft_after(TERMINATED_LOOK_NS));
    while (rc == -ETIMEDOUT && !pool_is_terminated(worker->pool));
    return rc;
}

/* Waits for enter. 0; or why the process cannot be used. */
static int make_ready(struct worker *worker, struct open_failure *ret_failure)
{
    struct process *process = worker->process;
    struct process_result failed;
    struct process_end end;
    char how[100];
    int rc = wait_for_enter(worker, &failed);
    switch (rc) {
    case 0:
        return 0;
    case -ECHILD:
        say(ret_failure, failed.status, "a worker could not enter",
            failed.text[0] ? failed.text : weft_strerror(failed.status));
        free(failed.result); /* enter may have returned something, too */
        return failed.status;
    case -EPIPE:
        if (process_wait(process, &end, WEFT_FOREVER) < 0)
            end = (struct process_end){ .signal = SIGKILL }; /* it went with the zygote */
        remote_describe(&end, how, sizeof how);
        say(ret_failure, -ECHILD, "a worker died before its first call", how);
        return -ECHILD;
    default:
        say(ret_failure, rc, "a worker could not start", weft_strerror(rc));
        return rc;
    }
}

static int open_process(struct worker *worker, struct open_failure *ret_failure)
{
    const weft_options *options = &worker->pool->options;
    char name[40];
    snprintf(name, sizeof name, "%.20s-%u", options->name, worker->number);
    int rc = process_open(&worker->process, &(struct process_options){
                                                .name = name,
                                                .context = options->context,
                                                .context_bytes = options->context_bytes,
                                                .enter = options->enter,
                                                .leave = options->leave,
                                                .origin = worker->pool->origin,
                                            });
    if (rc < 0) {
        say(ret_failure, rc, "a worker could not start",
            rc == -EPIPE ? "the process that starts them (the zygote) has died"
                         : weft_strerror(rc));
        worker->process = NULL;
        return rc;
    }
    rc = make_ready(worker, ret_failure);
    if (rc < 0) {
        process_close(worker->process);
        worker->process = NULL;
    }
    return rc;
}

/* Shielded: a call's cancellation must not reach the opening of the process for the next. */
static int open_worker(struct worker *worker, struct open_failure *ret_failure)
{
    weft_scope shield;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    int rc = open_process(worker, ret_failure);
    weft_scope_leave(&shield);
    return rc;
}

/*
 * True: the call goes to another process, which is there. It crashed its own and may be tried
 * again; or it has not begun, as its process had died before (if that happens again and again, it
 * counts as crashed).
 */
static bool try_again(struct worker *worker, weft_future *future, const struct remote *remote,
                      int *unbegun_times)
{
    struct open_failure failure;
    weft_outcome *outcome = &future->outcome;
    if (remote->fate != REMOTE_CRASHED)
        return false;
    bool unbegun = remote->unbegun && (*unbegun_times)++ < UNBEGUN_MAX;
    if (!unbegun && outcome->attempts >= worker->pool->options.attempts_max)
        return false;
    if (future_cancel_asked(future) || open_worker(worker, &failure) < 0)
        return false;
    if (!unbegun)
        future->call.pub.attempt = ++outcome->attempts;
    return true;
}

static void run(struct worker *worker, weft_future *future)
{
    struct remote remote;
    int unbegun_times = 0;
    if (!pool_begin(worker, future))
        return;
    for (;;) {
        remote_run(&remote, worker->process, future, &worker->pool->options);
        if (!remote.usable) {
            process_close(worker->process);
            worker->process = NULL;
        }
        if (!try_again(worker, future, &remote, &unbegun_times))
            break;
    }
    worker->lost = !worker->process;
    future_leave_strand(future);
    remote_end(&remote, future);
}

static void close_worker(struct worker *worker)
{
    struct process_end end;
    if (!worker->process)
        return;
    process_finish(worker->process);
    (void)process_wait(worker->process, &end, weft_after(worker->pool->options.grace_ns));
    process_close(worker->process); /* kills it if it has not ended by then */
    worker->process = NULL;
}

const struct pool_backend processes_backend = {
    .open = open_worker,
    .run = run,
    .close = close_worker,
    .nests = false,
};
