/* SPDX-License-Identifier: MIT */
/*
 * process/serve.c: the process's side of a lane (lane.h): claims items, runs them, says what came
 * of them, rings, sleeps.
 *
 * The steps of one item, in this order; the process may die between any two:
 *
 *     claim       from here on the item is what the process runs
 *     run         a block of shared memory that its result takes is noted in lane->held
 *     log         an entry, if there is something to say besides a result of fixed size
 *     done        publishes rets and log; held blocks are the owner's from here on
 *
 * Output is flushed before an item is done, so that it is neither lost nor printed twice and stands
 * before what the owner prints when he hears of it.
 *
 * To wake somebody costs as much as a hundred small calls. So the process rings when it has nothing
 * more to do, when a batch says so, and else at most once in RING_NS; and only if somebody listens.
 * For the supervisor it rings only when it is about to sleep, or keeps working: before that,
 * whoever has submitted the call may begin to wait for it, and look himself. Where the owner says
 * so, a failure makes the process ring and wait until he has heard of it: he may not want what
 * comes next any more. For the same reason it spins for SPIN_NS before it sleeps, each time that
 * this is in vain more rarely, down to once in 256 waits, and not at all where there is one CPU.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/program.h>
#include <weft/time.h>

#include "base/futex.h"
#include "park/strand.h"
#include "park/trace.h"
#include "process/code.h"
#include "process/lane.h"
#include "process/shared.h"
#include "strand/call.h"

#define RING_NS (50 * WEFT_US)
#define SPIN_NS (10 * WEFT_US)

enum { PAUSE_MAX = 255, SPINS_PER_LOOK = 16 };

static struct serving self;
static struct lane *lane;
static uint32_t head;   /* batches finished */
static int64_t rang_ns; /* when it rang last */
static bool may_spin;
static uint32_t pause, waits; /* how many waits go without spinning; how many of them are left */

static uint32_t paused_for; /* failures that the owner has to hear of before anything else begins */

/* The output space of the batch at hand. */
static char *out, *out_end;

/* ---- memory for results */

static void *take_memory(struct call *call, size_t bytes)
{
    (void)call;
    if (bytes < (size_t)(out_end - out)) {
        char *memory = out;
        out += (bytes + 16) & ~(size_t)15;
        if (out > out_end)
            out = out_end;
        memory[bytes] = '\0';
        return memory;
    }
    void **held = lane->held[0] ? &lane->held[1] : &lane->held[0];
    char *block = *held ? NULL : shared_alloc_dirty(bytes + 1);
    if (!block)
        return NULL;
    store_relaxed(held, block); /* relaxed: read when this process has died */
    block[bytes] = '\0';
    return block;
}

/* What lies in the output space is given back with the batch. */
static void give_memory(struct call *call, void *memory)
{
    (void)call;
    for (int i = 0; memory && i < 2; i++)
        if (lane->held[i] == memory) {
            store_relaxed(&lane->held[i], NULL); /* relaxed: as above */
            weft_shared_free(memory);
        }
}

static const struct call_memory result_memory = { take_memory, give_memory };

/* ---- one item */

static bool claim(struct batch *batch, uint32_t *ret_item)
{
    uint64_t range = load_relaxed(&batch->range); /* a first guess: the swap decides */
    do {
        if (range_next(range) >= range_end(range))
            return false;
        *ret_item = range_next(range);
        /* acq_rel: with batch_take_back(), who has the item */
    } while (!cas_acq_rel(&batch->range, &range, range + range_of(1, 0)));
    return true;
}

static void fill_in(weft_call *pub, const struct batch *batch, uint32_t item)
{
    *pub = (weft_call){ .context = self.context,
                        .context_bytes = self.context_bytes,
                        .worker = self.worker,
                        .index = batch->first + item,
                        .attempt = batch->attempt };
    if (batch->flags & BATCH_POINTERS) {
        pub->pointer = ((void **)batch->args)[item];
    } else if (batch->flags & BATCH_TABLE) {
        const weft_bytes *bytes = (const weft_bytes *)batch->args + item;
        pub->arg = bytes->data;
        pub->arg_bytes = bytes->size;
    } else if (batch->args) {
        pub->arg = batch->args + item * batch->arg_bytes;
        pub->arg_bytes = batch->arg_bytes;
    }
    if (batch->rets) {
        pub->ret = batch->rets + item * batch->ret_bytes;
        pub->ret_bytes = batch->ret_bytes;
        if (!(batch->flags & BATCH_KEEP))
            memset(pub->ret, 0, pub->ret_bytes);
    }
}

/* Words for the log: in the output space, or a block. */
static char *keep_text(struct call *call)
{
    size_t n = strlen(call->text);
    char *text = n ? take_memory(call, n) : NULL;
    if (text)
        memcpy(text, call->text, n + 1);
    return text;
}

static void log_item(struct batch *batch, uint32_t item, struct call *call, int status,
                     const int64_t times[2])
{
    struct entry *entry = &batch->log[batch->logged];
    *entry = (struct entry){ .item = item,
                             .status = status,
                             .result = call->result,
                             .result_bytes = call->result ? call->result_bytes : 0,
                             .text = status < 0 ? keep_text(call) : NULL,
                             .started_ns = times[0],
                             .ended_ns = times[1] };
    store_relaxed(&batch->logged, batch->logged + 1); /* relaxed: `done` publishes it */
}

/* Runs one that was claimed. *now: the time, if the batch asks for times; it goes on. */
static void run_item(struct batch *batch, weft_fn *fn, uint32_t item, int64_t *now)
{
    static struct call call; /* its text is long, so it is not zeroed each time */
    fill_in(&call.pub, batch, item);
    call.memory = &result_memory;
    call.result = NULL;
    call.text[0] = '\0';
    store_relaxed(&lane->since_ns, *now); /* relaxed: a look at some moment */
    struct strand *strand = strand_self();
    uint32_t holds = strand->holds; /* from enter */
    struct trace_span span;
    trace_begin_call(&span, fn, &call.pub);
    int status = fn(&call.pub);
    if (strand->holds > holds)
        status = call_abandoned(&call, strand, holds, status);
    trace_end_call(&span, fn, &call.pub, self.number, status);
    fflush(NULL);
    int64_t times[2] = { *now, batch->flags & (BATCH_LOG | BATCH_WATCHED) ? weft_now() : *now };
    *now = times[1];
    if (batch->flags & BATCH_LOG || status < 0 || call.result)
        log_item(batch, item, &call, status, times);
    store_release(&batch->done, item + 1); /* pairs with the acquire of who collects */
    paused_for += status < 0 && batch->flags & BATCH_PAUSE;
    if (lane->held[0] || lane->held[1]) {
        store_relaxed(&lane->held[0], NULL); /* relaxed: read when this process has died; the */
        store_relaxed(&lane->held[1], NULL); /* owner knows what is in the log */
    }
}

/* ---- waking and sleeping */

/* Wakes who listens: only the leader, or the supervisor as well. */
static void ring(bool supervisor_too)
{
    fence_seq_cst(); /* pairs with the one of who is about to listen (pool/lead.c) */
    struct hub *hub = lane->hub;
    uint32_t listening = load_relaxed(&hub->listening); /* relaxed: the swap decides */
    if (listening == NOBODY || (listening == SUPERVISOR && !supervisor_too) ||
        !cas_acq_rel(&hub->listening, &listening, NOBODY))
        return;
    if (listening == SUPERVISOR) {
        self.ring_supervisor();
        return;
    }
    add_release(&hub->bell, 1); /* pairs with the acquire of the leader's wait */
    futex_wake_shared(&hub->bell, 1);
}

static bool has_work(void)
{
    return load_acquire(&lane->tail) != head || /* pairs with lane_publish() */
           load_relaxed(&lane->quit);           /* relaxed: it says nothing about other memory */
}

static bool was_heard(void)
{
    return load_acquire(&lane->heard) == paused_for || /* pairs with lane_heard() */
           load_relaxed(&lane->quit);                  /* relaxed: as above */
}

static bool spin(bool (*ready)(void))
{
    if (!may_spin)
        return false;
    if (waits) {
        waits--;
        return false;
    }
    int64_t until = weft_now() + SPIN_NS;
    do
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (ready()) {
                pause = 0;
                return true;
            }
            cpu_relax();
        }
    while (weft_now() < until);
    pause = 2 * pause + 1 < PAUSE_MAX ? 2 * pause + 1 : PAUSE_MAX;
    waits = pause;
    return false;
}

/* Waits until ready(), which the owner makes true and then wakes. */
static void wait_until(bool (*ready)(void))
{
    if (ready() || spin(ready))
        return;
    ring(true);
    struct trace_span span;
    trace_begin_wait(&span, PARK_FOR_POOL_WORK, NULL);
    for (;;) {
        store_relaxed(&lane->asleep, 1); /* relaxed: the fence orders it */
        fence_seq_cst();                 /* pairs with the one in lane_wake() */
        if (ready())
            break;
        struct futex_place place = futex_place(&lane->asleep, 1, true);
        (void)futex_wait_any(&place, 1, WEFT_FOREVER);
    }
    trace_end_wait(&span, PARK_FOR_POOL_WORK, NULL, 0);
    store_relaxed(&lane->asleep, 0); /* relaxed: a wake-up too many harms nobody */
}

/* ---- batches */

static int64_t run_batch(struct batch *batch)
{
    int64_t began = weft_now(), now = began;
    weft_fn *fn = code_fn_of(batch->fn);
    uint32_t item;
    out = batch->out;
    out_end = out ? out + batch->out_bytes : NULL;
    while (claim(batch, &item)) {
        run_item(batch, fn, item, &now);
        if (!was_heard()) {
            ring(false);
            wait_until(was_heard);
        }
    }
    if (!(batch->flags & (BATCH_LOG | BATCH_WATCHED)))
        now = weft_now();
    store_relaxed(&batch->busy_ns, now - began); /* relaxed: `head` publishes it */
    return now;
}

void lane_serve(const struct serving *serving)
{
    cpu_set_t cpus;
    self = *serving;
    lane = serving->lane;
    head = load_relaxed(&lane->head); /* relaxed: set before this process was started */
    may_spin = sched_getaffinity(0, sizeof cpus, &cpus) < 0 || CPU_COUNT(&cpus) > 1;
    for (;;) {
        wait_until(has_work);
        if (load_acquire(&lane->tail) == head) /* pairs with lane_publish() */
            return;                            /* nothing more, so it is to quit */
        struct batch *batch = &lane->batches[head % LANE_BATCHES];
        int64_t now = run_batch(batch);
        store_release(&lane->head, ++head); /* pairs with the acquire of who collects */
        bool long_ago = now - rang_ns >= RING_NS;
        if (batch->flags & BATCH_RING || long_ago || !has_work()) {
            rang_ns = now;
            ring(long_ago && has_work());
        }
    }
}
