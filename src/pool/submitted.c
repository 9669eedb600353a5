/* SPDX-License-Identifier: MIT */
/*
 * pool/submitted.c: the source of calls that were submitted one by one: each is a future, and a
 * batch of its own.
 *
 * A future is PENDING while it is in the queue, and claimed for no strand (future_assign()) while
 * it is in a lane. What lies in the batch's space, in this order: its log of one entry, output
 * space, and the argument if there is room for it; else that has a block.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weft/program.h>

#include "pool/crew.h"
#include "process/shared.h"

enum { OUT_AT = 64, ARG_AT = 384 };

_Static_assert(sizeof(struct entry) <= OUT_AT, "room for the log");

static struct submitted *submitted_of(struct source *source)
{
    return CONTAINER(source, struct submitted, source);
}

static struct crew *crew_of(struct source *source)
{
    return CONTAINER(submitted_of(source), struct crew, submitted);
}

/* Puts it first in the queue. */
static void put_back(struct source *source, weft_future *future)
{
    struct submitted *submitted = submitted_of(source);
    future_unassign(future);
    list_push_back(submitted->futures.next, &future->queue_link);
    submitted->count++;
    crew_offer(crew_of(source), source);
}

/* ---- giving */

/* The first that was not cancelled; it is the crew's now. NULL: there is none. */
static weft_future *take_first(struct submitted *submitted)
{
    for (struct list *link; (link = list_pop_front(&submitted->futures));) {
        weft_future *future = CONTAINER(link, weft_future, queue_link);
        submitted->count--;
        if (future_assign(future))
            return future;
        future_unref(future); /* its cancellation has told the owner */
    }
    return NULL;
}

/* Where the argument goes, NUL included. */
static char *argument_room(struct assignment *what, struct batch *batch, size_t bytes)
{
    if (bytes < BATCH_SPACE - ARG_AT)
        return batch->space + ARG_AT;
    what->block = shared_alloc_dirty(bytes + 1);
    what->block_bytes = bytes + 1;
    return what->block;
}

static bool fill_argument(struct assignment *what, struct batch *batch, const weft_call *pub)
{
    batch->args = NULL;
    batch->arg_bytes = pub->arg_bytes;
    if (pub->pointer) {
        batch->flags |= BATCH_POINTERS;
        batch->args = memcpy(batch->space + ARG_AT, &pub->pointer, sizeof pub->pointer);
    } else if (pub->arg) {
        batch->args = argument_room(what, batch, pub->arg_bytes);
        if (!batch->args)
            return false;
        memcpy(batch->args, pub->arg, pub->arg_bytes + 1);
    }
    return true;
}

bool submitted_fill(struct submitted *submitted, struct assignment *what, struct batch *batch,
                    weft_future *future)
{
    what->source = &submitted->source;
    batch->flags = BATCH_LOG | (future->owner->heeds_failures ? BATCH_PAUSE : 0);
    if (!fill_argument(what, batch, &future->call.pub))
        return false;
    if (!future->call.pub.attempt)
        future->outcome.attempts = future->call.pub.attempt = 1;
    what->future = future;
    what->first = future->call.pub.index;
    what->attempt = future->call.pub.attempt;
    what->count = 1;
    what->log = batch->log = (struct entry *)(void *)batch->space;
    what->rets = batch->rets = NULL;
    batch->fn = process_origin_word(crew_of(&submitted->source)->origin, future->fn);
    batch->out = batch->space + OUT_AT;
    batch->out_bytes = ARG_AT - OUT_AT;
    return true;
}

static bool give(struct source *source, struct member *member, struct batch *batch, uint32_t most,
                 struct harvest *harvest)
{
    struct submitted *submitted = submitted_of(source);
    struct assignment *what = member_next(member);
    (void)most;
    for (weft_future *future; (future = take_first(submitted));) {
        signal_raise(&submitted->room, 1);
        if (submitted_fill(submitted, what, batch, future))
            return true;
        harvest_future(harvest, future, WEFT_FAILED, -ENOMEM);
    }
    return false;
}

/* ---- results */

static void give_block(struct call *call, void *memory)
{
    (void)call;
    weft_shared_free(memory);
}

/* A large result stays where the process has put it. */
static const struct call_memory block_memory = { .give = give_block };

static bool keep_result(struct call *call, const struct entry *entry)
{
    if (!entry->result)
        return true;
    call->result_bytes = entry->result_bytes;
    if (shared_block_bytes(entry->result)) {
        call->memory = &block_memory;
        call->result = entry->result;
    } else {
        call->result = call_buffer(entry->result, entry->result_bytes);
    }
    return call->result != NULL;
}

void entry_take_text(const struct entry *entry, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    if (!entry->text)
        return;
    snprintf(ret_text, size, "%.*s", (int)size - 1, entry->text);
    if (shared_block_bytes(entry->text))
        weft_shared_free(entry->text);
}

static weft_how how_of(weft_future *future, int status)
{
    if (status >= 0)
        return WEFT_DONE;
    return status == -ECANCELED && future_cancel_asked(future) ? WEFT_CANCELLED : WEFT_FAILED;
}

static void on_logged(struct source *source, struct assignment *what, const struct entry *entry,
                      struct member *member, struct harvest *harvest)
{
    weft_future *future = what->future;
    int status = entry->status;
    what->future = NULL;
    future->outcome.worker = member->number;
    future->outcome.started_ns = entry->started_ns;
    entry_take_text(entry, future->call.text, sizeof future->call.text);
    if (!keep_result(&future->call, entry))
        status = -ENOMEM;
    if (!crew_of(source)->once) {
        harvest_future(harvest, future, how_of(future, status), status);
        return;
    }
    future->outcome.how = how_of(future, status);
    future->outcome.status = status;
    member->parked = future;
}

static void on_done(struct source *source, struct assignment *what, uint32_t from, uint32_t to)
{
    (void)source, (void)what, (void)from, (void)to; /* all there is to know is in the log */
}

static void on_over(struct source *source, struct assignment *what, struct harvest *harvest)
{
    weft_future *future = what->future;
    (void)source;
    if (!future || !what->count)
        return;
    snprintf(future->call.text, sizeof future->call.text, "%s",
             "its process has written nonsense over its results");
    harvest_future(harvest, future, WEFT_CRASHED, -ECHILD);
}

/* ---- what did not end by itself */

static void on_take_back(struct source *source, struct assignment *what, uint32_t from, uint32_t to,
                         struct member *member)
{
    weft_future *future = what->future;
    (void)from, (void)to;
    what->future = NULL;
    if (crew_of(source)->once)
        member->unbegun = future; /* it goes with its process */
    else
        put_back(source, future);
}

void describe_death(const struct member *member, const struct process_end *end, weft_outcome *ret,
                    char *text, size_t size)
{
    char how[100];
    int pid = (int)process_id(member->process);
    ret->worker = member->number;
    ret->ended_ns = weft_now();
    if (member->fate == FATE_CANCELLED) {
        ret->how = WEFT_CANCELLED;
        ret->status = -ECANCELED;
        snprintf(text, size, "cancelled, with process %d", pid);
        return;
    }
    ret->signal = end->signal;
    ret->exit_code = end->exit_code;
    if (member->fate == FATE_OVERDUE) {
        ret->how = WEFT_OVERDUE;
        ret->status = -ETIMEDOUT;
        snprintf(text, size, "process %d was killed: the call took too long", pid);
        return;
    }
    process_end_describe(end, how, sizeof how);
    ret->how = WEFT_CRASHED;
    ret->status = -ECHILD;
    snprintf(text, size, "process %d %s", pid, how);
}

static void on_died(struct source *source, struct assignment *what, uint32_t item,
                    struct member *member, const struct process_end *end, struct harvest *harvest)
{
    struct crew *crew = crew_of(source);
    weft_future *future = what->future;
    (void)item;
    what->future = NULL;
    int64_t since = load_relaxed(&member->lane->since_ns); /* relaxed: its process is gone */
    future->outcome.started_ns = since ? since : what->given_ns;
    describe_death(member, end, &future->outcome, future->call.text, sizeof future->call.text);
    bool again = future->outcome.how == WEFT_CRASHED && !crew->terminated &&
                 future->outcome.attempts < crew->options->attempts_max &&
                 !future_cancel_asked(future);
    if (again) {
        future->call.text[0] = '\0';
        future->outcome.signal = future->outcome.exit_code = 0;
        future->call.pub.attempt = ++future->outcome.attempts;
        put_back(source, future);
        return;
    }
    harvest_future(harvest, future, future->outcome.how, future->outcome.status);
}

static bool on_fail(struct source *source, const struct crew_failure *failure,
                    struct harvest *harvest)
{
    struct submitted *submitted = submitted_of(source);
    for (weft_future *future; (future = take_first(submitted));) {
        snprintf(future->call.text, sizeof future->call.text, "%s",
                 failure ? failure->text : "cancelled before it started");
        harvest_future(harvest, future, failure ? WEFT_FAILED : WEFT_CANCELLED,
                       failure ? failure->error : -ECANCELED);
    }
    signal_raise(&submitted->room, UINT32_MAX);
    return true;
}

static void on_told(struct source *source)
{
    (void)source;
}

static const struct source_ops submitted_ops = {
    .give = give,
    .done = on_done,
    .logged = on_logged,
    .over = on_over,
    .take_back = on_take_back,
    .died = on_died,
    .fail = on_fail,
    .told = on_told,
};

void submitted_init(struct submitted *submitted)
{
    *submitted = (struct submitted){ .source.ops = &submitted_ops };
    list_init(&submitted->source.link);
    list_init(&submitted->futures);
}
