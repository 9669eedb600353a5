/* SPDX-License-Identifier: MIT */
/*
 * park/trace.h: where somebody can look on while strands run and wait: WEFT_TRACE.
 *
 * What is declared here is called by the rooms above, and implemented by debug/trace.c. While
 * nothing is traced an event costs them a load and a branch that is not taken:
 *
 *     struct trace_span span;
 *     trace_begin_wait(&span, PARK_FOR_LOCK, lock);
 *     ...
 *     trace_end_wait(&span, PARK_FOR_LOCK, lock, rc);
 */
#ifndef WEFT_PARK_TRACE_H
#define WEFT_PARK_TRACE_H

#include <sys/types.h>

#include <weft/call.h>

#include "base/atomic.h"

/*
 * What a wait is for: a part of its flags (park.h), for those who look on. None: "something".
 * trace_wait_name() says them in words.
 */
enum park_purpose {
    PARK_PURPOSE_SHIFT = 8,
    PARK_FOR_LOCK = 1 << PARK_PURPOSE_SHIFT,
    PARK_FOR_CONDITION = 2 << PARK_PURPOSE_SHIFT,
    PARK_FOR_SEMAPHORE = 3 << PARK_PURPOSE_SHIFT,
    PARK_FOR_EVENT = 4 << PARK_PURPOSE_SHIFT,
    PARK_FOR_BARRIER = 5 << PARK_PURPOSE_SHIFT,
    PARK_FOR_ONCE = 6 << PARK_PURPOSE_SHIFT,
    PARK_FOR_QUEUE_GET = 7 << PARK_PURPOSE_SHIFT,
    PARK_FOR_QUEUE_PUT = 8 << PARK_PURPOSE_SHIFT,
    PARK_FOR_QUEUE_JOIN = 9 << PARK_PURPOSE_SHIFT,
    PARK_FOR_SELECT = 10 << PARK_PURPOSE_SHIFT,
    PARK_FOR_SLEEP = 11 << PARK_PURPOSE_SHIFT,
    PARK_FOR_BLOCKING = 12 << PARK_PURPOSE_SHIFT,
    PARK_FOR_RESOLVE = 13 << PARK_PURPOSE_SHIFT,
    PARK_FOR_READ = 14 << PARK_PURPOSE_SHIFT,
    PARK_FOR_WRITE = 15 << PARK_PURPOSE_SHIFT,
    PARK_FOR_ACCEPT = 16 << PARK_PURPOSE_SHIFT,
    PARK_FOR_CONNECT = 17 << PARK_PURPOSE_SHIFT,
    PARK_FOR_DESCRIPTOR = 18 << PARK_PURPOSE_SHIFT,
    PARK_FOR_FILE = 19 << PARK_PURPOSE_SHIFT,
    PARK_FOR_CHILD = 20 << PARK_PURPOSE_SHIFT,
    PARK_FOR_FUTURE = 21 << PARK_PURPOSE_SHIFT,
    PARK_FOR_GROUP_NEXT = 22 << PARK_PURPOSE_SHIFT,
    PARK_FOR_GROUP_JOIN = 23 << PARK_PURPOSE_SHIFT,
    PARK_FOR_POOL_WORK = 24 << PARK_PURPOSE_SHIFT,
    PARK_FOR_POOL_ROOM = 25 << PARK_PURPOSE_SHIFT,
    PARK_FOR_POOL_MAP = 26 << PARK_PURPOSE_SHIFT,
    PARK_FOR_POOL_CLOSE = 27 << PARK_PURPOSE_SHIFT,
    PARK_FOR_STRANDS = 28 << PARK_PURPOSE_SHIFT,
    PARK_FOR_GIL = 29 << PARK_PURPOSE_SHIFT,
    PARK_FOR_POOL_LOOK = 30 << PARK_PURPOSE_SHIFT,
    PARK_FOR_ITSELF = 31 << PARK_PURPOSE_SHIFT, /* whoever calls park tells of the wait himself */
};

/* "lock" and the like, for the flags of a wait. */
const char *trace_wait_name(unsigned flags);

enum trace_state {
    TRACE_UNSEEN,
    TRACE_FOLDED, /* there is too much: it is counted, unless it turns out to take long */
    TRACE_RECORDED,
};

/* One span of time in the life of a strand: on its stack. */
struct trace_span {
    int64_t began_ns; /* RECORDED: when. FOLDED: not later than this */
    uint32_t tick;
    uint16_t where; /* RECORDED: the CPU that it began on. FOLDED: its note (debug/trace.c) */
    uint16_t state; /* enum trace_state */
};

/* Not 0: strands are looked at. Changes when the process begins, and in its forks. */
extern uint32_t trace_on;

/*
 * A call or a wait of the calling strand has begun. If the span is seen (span->state), its end must
 * be told of, too, on the same strand.
 */
void trace_call_began(struct trace_span *span, weft_fn *fn, const weft_call *call);
void trace_wait_began(struct trace_span *span, unsigned flags, const void *object);

static inline void trace_begin_call(struct trace_span *span, weft_fn *fn, const weft_call *call)
{
    span->state = TRACE_UNSEEN;
    /* relaxed: whether one more is seen does not matter */
    if (__builtin_expect(load_relaxed(&trace_on) != 0, 0))
        trace_call_began(span, fn, call);
}

static inline void trace_begin_wait(struct trace_span *span, unsigned flags, const void *object)
{
    span->state = TRACE_UNSEEN;
    if (__builtin_expect(load_relaxed(&trace_on) != 0, 0)) /* relaxed: as above */
        trace_wait_began(span, flags, object);
}

/* worker: which of a pool's runs it; negative: none does. */
void trace_call_ended(const struct trace_span *span, weft_fn *fn, const weft_call *call,
                      int64_t worker, int status);
void trace_wait_ended(const struct trace_span *span, unsigned flags, const void *object,
                      int status);

static inline void trace_end_call(const struct trace_span *span, weft_fn *fn, const weft_call *call,
                                  int64_t worker, int status)
{
    if (__builtin_expect(span->state != TRACE_UNSEEN, 0))
        trace_call_ended(span, fn, call, worker, status);
}

static inline void trace_end_wait(const struct trace_span *span, unsigned flags, const void *object,
                                  int status)
{
    if (__builtin_expect(span->state != TRACE_UNSEEN, 0))
        trace_wait_ended(span, flags, object, status);
}

/* ---- the life of the process (debug/start.c) */

/* Before main(). */
void trace_start(void);

/*
 * A fork of this process is seen no more, unless it says that it is one of the program's processes.
 * By its only strand.
 */
void trace_resume(void);

/* The program goes on as another process, which says trace_resume(), when this one has ended. */
void trace_move(pid_t pid);

/* For a process that runs the program again: a descriptor of what is shared, to be inherited; -1:
   there is none. And in the new image: looks on, too. It closes the descriptor. */
int trace_descriptor(void);
void trace_attach(int fd);

#endif
