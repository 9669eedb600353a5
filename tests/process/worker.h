/* SPDX-License-Identifier: MIT */
/*
 * A process as its owner has it: with a lane, by which it gets one call at a time. The owner
 * listens as a pool's supervisor does, so that news of the lane and of the end come by one
 * descriptor.
 */
#ifndef TESTS_PROCESS_WORKER_H
#define TESTS_PROCESS_WORKER_H

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

#include "harness.h"
#include "process/lane.h"
#include "process/process.h"
#include "process/shared.h"

struct worker {
    struct process *process;
    struct lane *lane; /* in shared memory, as is what follows */
    char *args, *rets;
    struct process_result refusal; /* why it is not ready */
    struct process_end end;        /* once it has ended */
};

/* What came of a call. */
struct result {
    int status;
    void *result; /* malloc'ed, NUL behind; NULL: none. The caller's to free */
    size_t result_bytes;
    char text[160];
};

static inline struct lane *lane_open(void)
{
    struct lane *lane = weft_shared_alloc(sizeof *lane);
    EXPECT_TRUE(lane);
    lane->hub = weft_shared_alloc(sizeof *lane->hub);
    EXPECT_TRUE(lane->hub);
    return lane;
}

static inline void lane_close(struct lane *lane)
{
    weft_shared_free(lane->hub);
    weft_shared_free(lane);
}

/* Starts a process; options may be NULL, and need no lane. Returns what process_open() does. */
static inline int worker_start(struct worker **ret, const struct process_options *options)
{
    struct process_options all = options ? *options : (struct process_options){ .name = "test" };
    struct worker *worker = calloc(1, sizeof *worker);
    EXPECT_TRUE(worker);
    *ret = NULL;
    worker->lane = all.lane = lane_open();
    int rc = process_open(&worker->process, &all);
    if (rc == 0) {
        *ret = worker;
        return 0;
    }
    lane_close(worker->lane);
    free(worker);
    return rc;
}

/* Waits for the next thing that the process says. */
static inline enum process_news worker_hear(struct worker *worker)
{
    for (;;) {
        struct pollfd fd = { .fd = process_fd(worker->process), .events = POLLIN };
        EXPECT_TRUE(poll(&fd, 1, -1) == 1 || errno == EINTR);
        enum process_news news = process_look(worker->process, &worker->refusal, &worker->end);
        if (news != PROCESS_SILENT)
            return news;
    }
}

static inline struct worker *open_worker_with(const struct process_options *options)
{
    struct worker *worker;
    EXPECT_EQ(worker_start(&worker, options), 0);
    EXPECT_EQ(worker_hear(worker), PROCESS_IS_READY);
    return worker;
}

static inline struct worker *open_worker(void)
{
    return open_worker_with(NULL);
}

static inline pid_t worker_id(const struct worker *worker)
{
    return process_id(worker->process);
}

static inline void worker_close(struct worker *worker)
{
    process_close(worker->process);
    weft_shared_free(worker->args);
    weft_shared_free(worker->rets);
    lane_close(worker->lane);
    free(worker);
}

/* Asks it to end after what it runs. */
static inline void worker_quit(struct worker *worker)
{
    store_relaxed(&worker->lane->quit, 1); /* relaxed: says nothing about other memory */
    lane_wake(worker->lane);
}

static inline struct process_end worker_end(struct worker *worker)
{
    while (worker_hear(worker) != PROCESS_ENDED)
        ;
    return worker->end;
}

/* Where the lane's entry, output and, unless it is large, argument lie in the space of a batch. */
enum { OUT_AT = 64, ARG_AT = 384 };

/* Where an argument goes whose NUL is to stand behind it. */
static inline char *argument_room(struct worker *worker, struct batch *batch, size_t bytes)
{
    if (bytes < BATCH_SPACE - ARG_AT)
        return batch->space + ARG_AT;
    worker->args = weft_shared_alloc(bytes + 1);
    EXPECT_TRUE(worker->args);
    return worker->args;
}

/* Sends a call: fn, and of call: arg and arg_bytes, pointer, index, attempt, ret_bytes. */
static inline void start_call(struct worker *worker, weft_fn *fn, const weft_call *call)
{
    struct batch *batch = lane_next(worker->lane);
    memset(batch, 0, sizeof *batch);
    batch->fn = process_origin_word(NULL, fn);
    batch->first = call->index;
    batch->attempt = call->attempt;
    batch->flags = BATCH_LOG;
    batch->log = (struct entry *)(void *)batch->space;
    batch->out = batch->space + OUT_AT;
    batch->out_bytes = ARG_AT - OUT_AT;
    if (call->pointer) {
        batch->flags |= BATCH_POINTERS;
        batch->args = memcpy(batch->space + ARG_AT, &call->pointer, sizeof call->pointer);
    } else if (call->arg) {
        batch->args = argument_room(worker, batch, call->arg_bytes);
        batch->arg_bytes = call->arg_bytes;
        memcpy(batch->args, call->arg, call->arg_bytes);
    }
    if (call->ret_bytes) {
        batch->rets = worker->rets = shared_alloc_dirty(call->ret_bytes);
        EXPECT_TRUE(batch->rets);
        memset(batch->rets, 'd', call->ret_bytes);
        batch->ret_bytes = call->ret_bytes;
    }
    store_relaxed(&batch->range, range_of(0, 1)); /* relaxed: published by tail */
    lane_publish(worker->lane);
    lane_wake(worker->lane);
}

static inline void start(struct worker *worker, weft_fn *fn, const void *arg, size_t bytes)
{
    start_call(worker, fn, &(weft_call){ .arg = arg, .arg_bytes = bytes });
}

/* Waits until the call that was started last is done. False: the process has ended before. */
static inline bool is_done(struct worker *worker)
{
    struct lane *lane = worker->lane;
    struct batch *batch = &lane->batches[(lane->tail - 1) % LANE_BATCHES];
    enum process_news news = PROCESS_SILENT;
    for (;;) {
        store_relaxed(&lane->hub->listening, SUPERVISOR); /* relaxed: the fence orders it */
        fence_seq_cst();                                  /* pairs with the one in serve.c */
        if (load_acquire(&batch->done))                   /* pairs with run_item()'s release */
            return true;
        if (news == PROCESS_ENDED)
            return false;
        news = worker_hear(worker);
    }
}

/* Moves a block, or what lies in the output space, to where the caller frees it. */
static inline void *take_block(char *block, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    EXPECT_TRUE(copy);
    memcpy(copy, block, bytes + 1);
    if (shared_block_bytes(block))
        weft_shared_free(block);
    return copy;
}

static inline struct result take_result(struct worker *worker)
{
    struct lane *lane = worker->lane;
    const struct batch *batch = &lane->batches[(lane->tail - 1) % LANE_BATCHES];
    const struct entry *entry = batch->log;
    struct result result = { .status = entry->status };
    EXPECT_EQ(batch->logged, 1);
    EXPECT_EQ(entry->item, 0);
    if (entry->text) {
        char *text = take_block(entry->text, strlen(entry->text));
        strncpy(result.text, text, sizeof result.text - 1);
        free(text);
    }
    if (entry->result) {
        result.result_bytes = entry->result_bytes;
        result.result = take_block(entry->result, entry->result_bytes);
    }
    weft_shared_free(worker->args);
    weft_shared_free(worker->rets);
    worker->args = worker->rets = NULL;
    return result;
}

/* Runs fn and gives its result. */
static inline struct result run(struct worker *worker, weft_fn *fn, const void *arg, size_t bytes)
{
    start(worker, fn, arg, bytes);
    EXPECT_TRUE(is_done(worker));
    return take_result(worker);
}

/* What came of a call that gives no result: there is nothing to free. */
static inline struct result take_plain(struct worker *worker)
{
    struct result result = take_result(worker);
    EXPECT_TRUE(result.result == NULL);
    return result;
}

/* Runs fn, which gives no result. Returns its status. */
static inline int run_plain(struct worker *worker, weft_fn *fn, const void *arg, size_t bytes)
{
    start(worker, fn, arg, bytes);
    EXPECT_TRUE(is_done(worker));
    return take_plain(worker).status;
}

/* Runs fn, which gives a value of ret_bytes bytes. */
static inline void run_value(struct worker *worker, weft_fn *fn, const void *arg, size_t bytes,
                             void *ret, size_t ret_bytes)
{
    struct result result = run(worker, fn, arg, bytes);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.result_bytes, ret_bytes);
    EXPECT_TRUE(result.result);
    memcpy(ret, result.result, ret_bytes);
    free(result.result);
}

/* Runs fn, which gives a number. */
static inline long run_number(struct worker *worker, weft_fn *fn)
{
    long number;
    run_value(worker, fn, NULL, 0, &number, sizeof number);
    return number;
}

/* Waits until the call that was started last is done, which gives this text. */
static inline void expect_done(struct worker *worker, const char *text)
{
    EXPECT_TRUE(is_done(worker));
    struct result result = take_result(worker);
    EXPECT_EQ(result.status, 0);
    EXPECT_STR((const char *)result.result, text);
    free(result.result);
}

/* Runs fn, which gives this text. */
static inline void expect_text(struct worker *worker, weft_fn *fn, const char *text)
{
    start(worker, fn, NULL, 0);
    expect_done(worker, text);
}

static inline int give_number(weft_call *call, long number)
{
    return weft_call_return(call, &number, sizeof number);
}

/* Runs fn, of which the process dies, and says how. */
static inline struct process_end run_to_death(struct worker *worker, weft_fn *fn)
{
    start(worker, fn, NULL, 0);
    EXPECT_FALSE(is_done(worker));
    return worker->end;
}

#endif
