/* SPDX-License-Identifier: MIT */
/* debug/events.h: records as events of the Chrome trace format. */
#ifndef WEFT_DEBUG_EVENTS_H
#define WEFT_DEBUG_EVENTS_H

#include "debug/output.h"
#include "debug/ring.h"
#include "debug/symbols.h"

/* Who wrote a record. */
struct author {
    uint32_t process, thread;
    uint32_t program; /* the process that the others are forks of */
    int64_t base_ns;  /* the trace begins then */
};

struct events {
    struct output output;
    struct symbols symbols;
    uint64_t spans;
};

void event_process(struct events *events, const struct author *author, const char *name);
void event_strand(struct events *events, const struct author *author, const struct record *record);

/* ended: false: it never did, until its time. */
void event_span(struct events *events, const struct author *author, const struct record *record,
                bool ended);

/* How many calls and waits the thread has counted instead of recorded since the last time. */
void event_folded(struct events *events, const struct author *author, int64_t now_ns,
                  uint64_t calls, uint64_t waits);

/* What is not in the trace, at its end. */
struct missing {
    uint64_t folded_calls, folded_waits, lost, homeless;
};
void event_end(struct events *events, const struct author *author, int64_t now_ns,
               const struct missing *missing);

#endif
