/* SPDX-License-Identifier: MIT */
/*
 * process/lane.h: the lane of a process: calls on their way to it and back, in shared memory.
 *
 * A lane is a ring of batches. The owner fills a batch and publishes it, the process runs its items
 * one after the other and says how far it is. An item is a call; a batch is one call, or
 * neighbouring items of a map.
 *
 *     owner     fills batch, tail++ ....................................... collects, its slot is
 * free process              claims item 0 .. runs .. done = 1, claims item 1 .. done = 2 .. head++
 *
 * Death may come between any two instructions of the process, and the owner may want back what has
 * not begun. So each item is claimed, by one compare-and-swap of `range`, before it runs: the owner
 * takes items back by the same word, from the end. What is claimed and not done is what the process
 * is running, or died of; there is at most one such item in a lane.
 *
 *     range   next : 32 | end : 32     claimed: < next. The owner lowers end, the process raises
 * next done    items whose results are complete, published by it
 *
 * Results of fixed size go to `rets`, item after item. All else that came of an item (a result of
 * another size, a status below zero, words, times) goes to the log, an entry per item that has such
 * a thing, or for every item where the batch says so. An entry's memory is in the batch's own
 * output space, or a block of shared memory, which is the owner's once the entry's item is done.
 *
 * A hub is what all lanes of an owner share: who listens for news, and the bell that wakes him.
 *
 * The owner believes nothing that it reads here: a process may have scribbled over it. Where memory
 * lies and how much it is it knows itself, and what is an index or a pointer it checks.
 */
#ifndef WEFT_PROCESS_LANE_H
#define WEFT_PROCESS_LANE_H

#include <weft/call.h>

#include "base/atomic.h"

enum { LANE_BATCHES = 32, BATCH_SPACE = 832 };

/* What came of an item, besides a result of fixed size. */
struct entry {
    uint32_t item;
    int32_t status;
    uint64_t result_bytes;
    char *result; /* NULL: none; NUL behind */
    char *text;   /* NULL: no words */
    int64_t started_ns, ended_ns;
};

enum batch_flag {
    BATCH_LOG = 1,      /* an entry for every item, with times */
    BATCH_POINTERS = 2, /* args are pointers, lent */
    BATCH_TABLE = 4,    /* args are weft_bytes */
    BATCH_RING = 8,     /* ring when it is finished */
    BATCH_WATCHED = 16, /* say exactly since when each item runs */
    BATCH_KEEP = 64,    /* rets are not cleared */
    BATCH_PAUSE = 32,   /* after a failure begin nothing before the owner has heard of it */
};

struct batch {
    uint64_t range __attribute__((aligned(64)));
    uint64_t fn;    /* a word of code.h; the owner's until published, as is all but what the process
                       writes */
    uint64_t first; /* index of the first item */
    char *args;     /* NULL: none */
    uint64_t arg_bytes;
    char *rets; /* NULL: results of any size */
    uint64_t ret_bytes;
    struct entry *log;                      /* room for as many as there are items */
    char *out __attribute__((aligned(64))); /* output space */
    uint64_t out_bytes;
    uint32_t attempt, flags;
    uint32_t done __attribute__((aligned(64))); /* the process's, as are the next */
    uint32_t logged;
    int64_t busy_ns; /* that all its items took; valid when it is finished */
    char space[BATCH_SPACE] __attribute__((aligned(64)));
};

enum listener { NOBODY, LEADER, SUPERVISOR };

struct hub {
    uint32_t listening __attribute__((aligned(64))); /* enum listener: who sleeps */
    uint32_t bell;                                   /* the leader's, to sleep on */
};

struct lane {
    uint32_t tail __attribute__((aligned(64))); /* batches published */
    uint32_t quit;                              /* the process is to end */
    uint32_t heard;                             /* failures that the process has paused for */
    struct hub *hub;                            /* constant */
    uint32_t head __attribute__((aligned(64))); /* batches finished; the process's */
    int64_t since_ns;                           /* when the last item began, about */
    void *held[2]; /* blocks that the process has taken for the item that it runs */
    uint32_t asleep __attribute__((aligned(64))); /* the process sleeps on it while it is 1 */
    struct batch batches[LANE_BATCHES];
};

static inline uint64_t range_of(uint32_t next, uint32_t end)
{
    return (uint64_t)next << 32 | end;
}

static inline uint32_t range_next(uint64_t range)
{
    return (uint32_t)(range >> 32);
}

static inline uint32_t range_end(uint64_t range)
{
    return (uint32_t)range;
}

/* ---- the owner's side */

/* The batch behind the last published one. The caller knows that its slot is free. */
static inline struct batch *lane_next(struct lane *lane)
{
    return &lane->batches[lane->tail % LANE_BATCHES];
}

/* Publishes it; the process sees it now or when it is woken. */
static inline void lane_publish(struct lane *lane)
{
    store_release(&lane->tail, lane->tail + 1); /* pairs with the acquire in serve.c */
}

/* Wakes the process if it sleeps, after publishing or setting quit. */
void lane_wake(struct lane *lane);

/*
 * Takes back what has not begun, from item `from` on at most. Returns the new end: the items from
 * there on are the caller's.
 */
uint32_t batch_take_back(struct batch *batch, uint32_t from, uint32_t count);

/* ---- the process's side */

/* What a process runs calls with. */
struct serving {
    struct lane *lane;
    void *context;
    size_t context_bytes;
    void *worker;
    void (*ring_supervisor)(void); /* wakes him, when he listens */
    int64_t number;                /* of the worker; -1: it is none */
};

/* Runs what comes by the lane until it says to quit. */
void lane_serve(const struct serving *serving);

#endif
