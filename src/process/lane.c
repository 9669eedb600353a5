/* SPDX-License-Identifier: MIT */
/*
 * process/lane.c: the owner's side of a lane (lane.h): waking the process, taking calls back.
 *
 * Owner and process do not miss each other: the owner publishes, then looks whether the process
 * sleeps; the process says that it is about to sleep, then looks whether there is something.
 * Between the two steps each has a full fence, so one of them sees the other.
 */
#include "base/futex.h"
#include "process/lane.h"

void lane_wake(struct lane *lane)
{
    fence_seq_cst(); /* pairs with the one in serve.c */
    uint32_t asleep = 1;
    /* relaxed, both: the fence orders them; what was published is read by an acquire */
    if (load_relaxed(&lane->asleep) && cas_relaxed(&lane->asleep, &asleep, 0))
        futex_wake_shared(&lane->asleep, 1);
}

uint32_t batch_take_back(struct batch *batch, uint32_t from, uint32_t count)
{
    uint64_t range = load_relaxed(&batch->range); /* a first guess: the swap decides */
    for (;;) {
        uint32_t next = range_next(range), end = range_end(range);
        if (end > count)
            end = count; /* the process has scribbled on it */
        uint32_t cut = next > from ? next : from;
        if (cut >= end)
            return end;
        /* acq_rel: an item is either claimed before, or the caller's after this */
        if (cas_acq_rel(&batch->range, &range, range_of(next, cut)))
            return cut;
    }
}
