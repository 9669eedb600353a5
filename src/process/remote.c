/* SPDX-License-Identifier: MIT */
/*
 * process/remote.c: a strand of this process stands for a call that runs in another one.
 *
 *   result arrives        the call has ended as it says; the process is ready for the next
 *   channel ends          the process died of the call: crashed
 *   call_timeout_ns over  it is killed at once: overdue
 *   cancelled             it is asked to end (SIGTERM), and killed after grace_ns
 *
 * Once cancelled, the watching strand's own waits would all end at once, so what follows happens
 * inside a shield. A result that arrives in spite of a cancellation counts.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/remote.h"

static void wait_for_end(struct remote *remote, struct process *process)
{
    weft_scope shield;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    if (process_wait(process, &remote->end, WEFT_FOREVER) < 0)
        remote->end = (struct process_end){ .signal = SIGKILL }; /* it went with the zygote */
    weft_scope_leave(&shield);
}

static void kill_now(struct remote *remote, struct process *process, enum remote_fate fate)
{
    process_signal(process, SIGKILL);
    wait_for_end(remote, process);
    remote->fate = fate;
}

/* Keeps a result that arrived in the future's call. */
static void keep(struct remote *remote, weft_future *future, struct process_result *result)
{
    weft_call *pub = &future->call.pub;
    remote->fate = REMOTE_RETURNED;
    remote->usable = true;
    remote->status = result->status;
    memcpy(future->call.text, result->text, sizeof future->call.text);
    if (pub->ret && result->result) {
        size_t n = result->result_bytes < pub->ret_bytes ? result->result_bytes : pub->ret_bytes;
        memcpy(pub->ret, result->result, n);
        free(result->result);
        result->result = NULL;
    }
    future->call.result = result->result;
    future->call.result_bytes = result->result_bytes;
}

/* The call was cancelled: the process gets its time to end. */
static void ask_to_end(struct remote *remote, struct process *process, weft_future *future,
                       const weft_options *options)
{
    struct process_result result;
    weft_scope shield;
    process_signal(process, SIGTERM);
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    int rc = process_receive(process, &result, weft_after(options->grace_ns));
    weft_scope_leave(&shield);
    if (rc == 0) {
        keep(remote, future, &result);
        remote->usable = false; /* the signal may still be on its way */
        process_signal(process, SIGKILL);
        wait_for_end(remote, process);
        return;
    }
    kill_now(remote, process, REMOTE_CANCELLED);
}

static void receive(struct remote *remote, struct process *process, weft_future *future,
                    const weft_options *options)
{
    weft_deadline deadline = WEFT_FOREVER;
    if (options->call_timeout_ns)
        deadline = weft_after(options->call_timeout_ns);
    struct process_result result;
    int rc = process_receive(process, &result, deadline);
    switch (rc) {
    case 0:
        keep(remote, future, &result);
        break;
    case -EPIPE:
        wait_for_end(remote, process);
        remote->fate = REMOTE_CRASHED;
        remote->unbegun = !process_began(process);
        break;
    case -ETIMEDOUT:
        kill_now(remote, process, REMOTE_OVERDUE);
        break;
    case -ECANCELED:
        ask_to_end(remote, process, future, options);
        break;
    case -ENOMEM: /* the call has ended, and only its result found no room */
        remote->fate = REMOTE_LOST;
        remote->status = rc;
        remote->usable = true;
        break;
    default: /* no way to wait for the process: what it does can not be known */
        kill_now(remote, process, REMOTE_LOST);
        remote->status = rc;
    }
}

void remote_run(struct remote *ret, struct process *process, weft_future *future,
                const weft_options *options)
{
    *ret = (struct remote){ .pid = process_id(process) };
    int rc = process_send(process, future->fn, &future->call.pub);
    if (rc < 0) {
        kill_now(ret, process, REMOTE_LOST);
        ret->status = rc;
        return;
    }
    receive(ret, process, future, options);
}

void remote_describe(const struct process_end *end, char *text, size_t size)
{
    if (end->signal)
        snprintf(text, size, "killed by signal %d (%s)", end->signal, strsignal(end->signal));
    else
        snprintf(text, size, "exited with code %d", end->exit_code);
}

void remote_end(const struct remote *remote, weft_future *future)
{
    char end[100], text[160];
    weft_outcome *outcome = &future->outcome;
    if (remote->fate == REMOTE_CRASHED || remote->fate == REMOTE_OVERDUE) {
        outcome->signal = remote->end.signal;
        outcome->exit_code = remote->end.exit_code;
    }
    switch (remote->fate) {
    case REMOTE_RETURNED:
        future_end_returned(future, remote->status);
        break;
    case REMOTE_CRASHED:
        remote_describe(&remote->end, end, sizeof end);
        snprintf(text, sizeof text, "process %d %s", (int)remote->pid, end);
        future_end(future, WEFT_CRASHED, -ECHILD, text);
        break;
    case REMOTE_OVERDUE:
        snprintf(text, sizeof text, "process %d was killed: the call took too long",
                 (int)remote->pid);
        future_end(future, WEFT_OVERDUE, -ETIMEDOUT, text);
        break;
    case REMOTE_CANCELLED:
        snprintf(text, sizeof text, "cancelled, with process %d", (int)remote->pid);
        future_end(future, WEFT_CANCELLED, -ECANCELED, text);
        break;
    case REMOTE_LOST:
        future_end(future, WEFT_FAILED, remote->status, NULL);
        break;
    }
}
