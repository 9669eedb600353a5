/* SPDX-License-Identifier: MIT */
/*
 * strand/future.c: what happens to a call between its start and its end, whoever runs it.
 *
 * The state decides who owns the call (future.h). Ending a call goes in this order: the outcome is
 * written, the state becomes ENDED (which publishes outcome and result), the event wakes those who
 * wait, and the owner is told last, as it may be freed then.
 *
 * Cancelling a running call must reach the strand that runs it, which may be about to go on to
 * another call or to end. So a canceller holds the state at CANCELLING meanwhile, and the strand
 * leaves only by a swap from RUNNING; if that fails it waits for the canceller at the guard. A call
 * beside its task has the strand to itself, and for as long as the canceller has a reference: what
 * reaches the strand after the call has returned does nothing.
 *
 * Lock order: an owner's lock may be held when a future's guard is taken, never the other way
 * round; under that guard only the cancelled strand's hooks_guard is taken (park/cancel.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strand/future.h"
#include "base/clock.h"
#include "park/trace.h"
#include "strand/options.h"
#include "sync/event.h"

static bool try_ended(void *self, weft_case *what);
static void arm_ended(void *self, struct park_node *node);

static const struct waitable_ops future_waitable = {
    .try_case = try_ended,
    .arm = arm_ended,
};

int argument_parse(struct argument *ret, struct runner *runner, weft_fn *fn, const void *arg,
                   size_t arg_bytes)
{
    struct argument argument = { .bytes = arg, .size = arg_bytes };
    if (!fn || (!arg && arg_bytes && arg_bytes != WEFT_POINTER))
        return -EINVAL;
    if (arg_bytes == WEFT_POINTER) {
        if (options_strict())
            return -EFAULT;
        argument = (struct argument){ .pointer = (void *)arg };
    } else if (arg_bytes == WEFT_STRING) {
        argument.size = strlen(arg) + 1;
    } else if (arg_bytes == WEFT_BYTES) {
        const weft_bytes *bytes = arg;
        argument = (struct argument){ .bytes = bytes->data, .size = bytes->size };
        if (bytes->size && !bytes->data)
            return -EINVAL;
    }
    if (argument.size > CALL_BYTES_MAX)
        return -EMSGSIZE;
    int rc = runner->ops->admit ? runner->ops->admit(runner, fn, argument.pointer) : 0;
    if (rc < 0)
        return rc;
    *ret = argument;
    return 0;
}

void future_init(weft_future *future, struct runner *runner, struct future_owner *owner,
                 weft_fn *fn)
{
    /* All but the texts, which are long, and the bytes. */
    memset(future, 0, offsetof(weft_future, call.text));
    future->call.text[0] = '\0';
    memset(&future->outcome, 0, offsetof(weft_outcome, text));
    future->outcome.text[0] = '\0';
    future->wanted = future->cancel_asked = false;
    future->stays = false;
    future->elsewhere = 0;
    future->strand = NULL;
    future->guard = (struct guard){ 0 };
    future->waitable.ops = &future_waitable;
    future->refs = 1;
    future->fn = fn;
    future->owner = owner;
    future->runner = runner;
    list_init(&future->group_link);
    list_init(&future->queue_link);
}

void future_rearm(weft_future *future)
{
    call_drop_result(&future->call);
    future->call = (struct call){ 0 };
    future->outcome = (weft_outcome){ 0 };
    weft_event_clear(&future->ended);
    guard_lock(&future->guard);
    future->cancel_asked = false;
    guard_unlock(&future->guard);
    /* release: pairs with the acquire in claim() */
    store_release(&future->state, FUTURE_PENDING);
}

int future_new(weft_future **ret, struct runner *runner, struct future_owner *owner, weft_fn *fn,
               const void *arg, size_t arg_bytes, bool handle)
{
    struct argument argument;
    int rc = argument_parse(&argument, runner, fn, arg, arg_bytes);
    if (rc < 0)
        return rc;
    size_t bytes = sizeof(weft_future) + argument.size + 1;
    void (*release)(weft_future * future) = NULL;
    weft_future *future = NULL;
    if (!handle && runner->ops->allocate)
        future = runner->ops->allocate(runner, bytes, &release);
    if (!future)
        future = malloc(bytes);
    if (!future)
        return -ENOMEM;
    future_init(future, runner, owner, fn);
    future->release = release;
    if (argument.size)
        memcpy(future->bytes, argument.bytes, argument.size);
    future->bytes[argument.size] = '\0';
    future->call.pub.arg = arg_bytes == WEFT_POINTER ? NULL : future->bytes;
    future->call.pub.arg_bytes = argument.size;
    future->call.pub.pointer = argument.pointer;
    *ret = future;
    return 0;
}

void future_ref(weft_future *future)
{
    add_relaxed(&future->refs, 1); /* relaxed: who passes a reference on has one */
}

void future_unref(weft_future *future)
{
    /* acquire, acq_rel: what every holder did before letting go happens before the free */
    if (load_acquire(&future->refs) > 1 && sub_acq_rel(&future->refs, 1) > 1)
        return;
    call_drop_result(&future->call);
    if (future->release)
        future->release(future);
    else
        free(future);
}

void weft_future_close(weft_future *future)
{
    if (future)
        future_unref(future);
}

static bool claim(weft_future *future, uint32_t state)
{
    uint32_t pending = FUTURE_PENDING;
    /* acquire: pairs with the release by which a queue, or a caller, passed the future on; release:
       a canceller finds the strand */
    return cas_acq_rel(&future->state, &pending, state);
}

bool future_begin(weft_future *future)
{
    struct strand *self = strand_self();
    future->strand = self;
    future->depth = ++self->depth;
    if (!claim(future, FUTURE_RUNNING)) {
        self->depth--;
        return false;
    }
    future->outcome.attempts = 1;
    future->outcome.started_ns = future->release ? time_coarse_ns() : weft_now();
    future->call.pub.attempt = 1;
    return true;
}

void future_leave_strand(weft_future *future)
{
    struct strand *self = strand_self();
    uint32_t running = FUTURE_RUNNING;
    /* acq_rel: pairs with the release in cancel_running(), after which the strand is left alone */
    if (!cas_acq_rel(&future->state, &running, FUTURE_LEFT)) {
        guard_lock(&future->guard);                 /* a canceller is at it: wait */
        store_relaxed(&future->state, FUTURE_LEFT); /* relaxed: the guard orders it */
        guard_unlock(&future->guard);
    }
    if (load_relaxed(
            &self->cancels)) /* relaxed: nobody reaches the strand for this call any more */
        strand_uncancel(self, future->depth);
    self->depth--;
}

bool future_assign(weft_future *future)
{
    future->strand = NULL;
    return claim(future, FUTURE_RUNNING);
}

void future_unassign(weft_future *future)
{
    guard_lock(&future->guard); /* no canceller is at it */
    /* release: pairs with the acquire in claim() */
    store_release(&future->state, FUTURE_PENDING);
    guard_unlock(&future->guard);
}

void future_take_over(weft_future *future)
{
    guard_lock(&future->guard);
    store_relaxed(&future->state, FUTURE_LEFT); /* relaxed: the guard orders it */
    guard_unlock(&future->guard);
}

bool future_retract(weft_future *future)
{
    return claim(future, FUTURE_LEFT);
}

bool future_cancel_asked(weft_future *future)
{
    guard_lock(&future->guard);
    bool asked = future->cancel_asked;
    guard_unlock(&future->guard);
    return asked;
}

static void describe(weft_future *future, const char *text)
{
    weft_outcome *outcome = &future->outcome;
    if (outcome->how == WEFT_DONE)
        return;
    if (!text)
        text = future->call.text[0] ? future->call.text : weft_strerror(outcome->status);
    snprintf(outcome->text, sizeof outcome->text, "%s", text);
}

void future_end(weft_future *future, weft_how how, int status, const char *text)
{
    weft_outcome *outcome = &future->outcome;
    struct future_owner *owner = future->owner;
    outcome->how = how;
    outcome->status = status;
    if (!future->release || how != WEFT_DONE) /* else nobody can ask */
        outcome->ended_ns = weft_now();
    describe(future, text);
    if (owner && owner->on_error && how != WEFT_DONE && how != WEFT_CANCELLED)
        owner->on_error(outcome, owner->on_error_ctx);
    /* release: pairs with the acquire in has_ended(); publishes outcome and result */
    store_release(&future->state, FUTURE_ENDED);
    if (!future->release) /* else nobody has a handle to wait with */
        weft_event_set(&future->ended);
    if (owner)
        owner->ended(owner, future);
    else
        future_unref(future);
}

void future_end_returned(weft_future *future, int status)
{
    if (status >= 0)
        future_end(future, WEFT_DONE, status, NULL);
    else if (status == -ECANCELED && future_cancel_asked(future))
        future_end(future, WEFT_CANCELLED, status, NULL);
    else
        future_end(future, WEFT_FAILED, status, NULL);
}

int future_run_fn(weft_future *future, int64_t worker)
{
    struct strand *self = strand_self();
    uint32_t holds = self->holds;
    struct trace_span span;
    trace_begin_call(&span, future->fn, &future->call.pub);
    int status = future->fn(&future->call.pub);
    if (self->holds > holds)
        status = call_abandoned(&future->call, self, holds, status);
    trace_end_call(&span, future->fn, &future->call.pub, worker, status);
    return status;
}

void future_call(weft_future *future, int64_t worker)
{
    int status = future_run_fn(future, worker);
    future_leave_strand(future);
    future_end_returned(future, status);
}

void future_run(weft_future *future)
{
    if (future_begin(future))
        future_call(future, -1);
    else
        future_unref(future); /* its cancellation has told the owner */
}

/* Under the guard. False: no strand runs it, and its runner must be told. */
static bool cancel_running(weft_future *future)
{
    uint32_t running = FUTURE_RUNNING;
    /* acquire: pairs with the release in claim(); shows the strand */
    if (!cas_acquire(&future->state, &running, FUTURE_CANCELLING))
        return true;
    bool reached = future->strand != NULL;
    if (reached)
        strand_cancel(future->strand, future->depth);
    else
        future->runner->ops->hold(future->runner);
    running = FUTURE_CANCELLING;
    /* release: pairs with the swap of who leaves the strand; or it has ended beside its task */
    (void)cas_release(&future->state, &running, FUTURE_RUNNING);
    return reached;
}

void weft_future_cancel(weft_future *future)
{
    guard_lock(&future->guard);
    future->cancel_asked = true;
    bool unstarted = claim(future, FUTURE_LEFT);
    bool reached = unstarted || cancel_running(future);
    guard_unlock(&future->guard);
    if (!reached)
        future->runner->ops->cancel(future->runner, future);
    if (!unstarted)
        return;
    if (future->runner && future->runner->ops->forget)
        future->runner->ops->forget(future->runner, future);
    future_ref(future); /* for the end; a runner that still has it lets go of its own */
    future_end(future, WEFT_CANCELLED, -ECANCELED, "cancelled before it started");
}

static bool has_ended(const weft_future *future)
{
    return load_acquire(&future->state) ==
           FUTURE_ENDED; /* pairs with the release in future_end() */
}

static int ended_result(const weft_future *future)
{
    return future->outcome.how == WEFT_DONE ? 0 : -ECHILD;
}

static int wait_for_end(weft_future *future, weft_deadline deadline)
{
    if (future->runner && future->runner->ops->wait) {
        int rc = future->runner->ops->wait(future->runner, future, deadline);
        if (rc != -EAGAIN)
            return rc;
    }
    return event_wait(&future->ended, deadline, PARK_FOR_FUTURE);
}

int weft_future_wait(weft_future *future, weft_deadline deadline)
{
    if (!has_ended(future) && future->runner && future->runner->ops->help)
        (void)future->runner->ops->help(future->runner, future, deadline);
    if (!has_ended(future) && deadline.ns > 0 && future->runner && future->runner->ops->let_run)
        future->runner->ops->let_run(future->runner);
    while (!has_ended(future)) {
        int rc = wait_for_end(future, deadline);
        if (rc < 0)
            return rc;
    }
    return ended_result(future);
}

static bool try_ended(void *self, weft_case *what)
{
    weft_future *future = self;
    if (!has_ended(future))
        return false;
    what->result = ended_result(future);
    return true;
}

static void arm_ended(void *self, struct park_node *node)
{
    weft_future *future = self;
    (void)event_arm(&future->ended, node); /* select tries again after arming */
}

const weft_outcome *weft_future_outcome(const weft_future *future)
{
    static const weft_outcome pending = { .how = WEFT_PENDING };
    static const weft_outcome running = { .how = WEFT_RUNNING };
    if (has_ended(future))
        return &future->outcome;
    bool started = future->fn && load_relaxed(&future->state) != FUTURE_PENDING;
    return started ? &running : &pending; /* relaxed: an answer about some moment */
}

const void *weft_future_result(const weft_future *future, size_t *ret_bytes)
{
    bool has = has_ended(future) && future->call.result;
    if (ret_bytes)
        *ret_bytes = has ? future->call.result_bytes : 0;
    return has ? future->call.result : NULL;
}

uint64_t weft_future_index(const weft_future *future)
{
    return future->call.pub.index;
}

int weft_future_open(weft_future **ret_future)
{
    weft_future *future = malloc(sizeof *future);
    if (!future)
        return -ENOMEM;
    future_init(future, NULL, NULL, NULL); /* its reference is the handle's */
    *ret_future = future;
    return 0;
}

int weft_future_finish(weft_future *future, int status, const void *bytes, size_t n)
{
    if (future->fn || n > CALL_BYTES_MAX || (n && !bytes))
        return -EINVAL;
    void *result = bytes ? call_buffer(bytes, n) : NULL;
    if (bytes && !result)
        return -ENOMEM;
    if (!claim(future, FUTURE_LEFT)) {
        free(result);
        return -EALREADY;
    }
    future_ref(future); /* for the end: who waits may close the handle at once */
    future->call.result = result;
    future->call.result_bytes = n;
    future_end_returned(future, status);
    return 0;
}
