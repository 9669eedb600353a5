/* SPDX-License-Identifier: MIT */
/* What measures is a strand of its own, because a strand can be cancelled: Ctrl-C ends whatever it
 * waits for, and what it started is cleaned up by whoever started it. The main strand waits for
 * the signal, or for its end. */
#include "strand.h"

#include "fetch/interrupt.h"

#include <poll.h>

static void supervise(weft_group *group, int group_fd, int signals)
{
    struct pollfd fds[] = { { .fd = group_fd, .events = POLLIN },
                            { .fd = signals, .events = POLLIN } };

    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue; /* EINTR: by a debugger */
        if (fds[0].revents != 0)
            return;
        interrupts_read(signals);
        if (weft_event_is_set(&interrupts.finish))
            weft_group_cancel(group);
    }
}

static int run(weft_fn *fn, void *pointer, int signals)
{
    weft_group *group = NULL;
    weft_future *strand = NULL;
    int rc = weft_group_open(&group, WEFT_THREADS, &(weft_options){ .name = "lab" });
    int fd = rc == 0 ? weft_group_fd(group) : rc;

    /* The pointer's bytes: the strand is a thread, and ends before what it points to. */
    rc =
        fd < 0 ? fd : weft_group_submit(group, fn, &pointer, sizeof pointer, &strand, WEFT_FOREVER);
    if (rc == 0) {
        supervise(group, fd, signals);
        rc = weft_future_outcome(strand)->status;
    }
    weft_future_close(strand);
    weft_group_close(group);
    return rc;
}

int lab_strand_run(weft_fn *fn, void *pointer)
{
    int signals = interrupts_open();

    if (signals < 0)
        return signals;
    int rc = run(fn, pointer, signals);
    interrupts_close(signals); /* what follows may wait for ever for somebody who reads it */
    return rc;
}

void *lab_strand_pointer(const weft_call *call)
{
    return *(void *const *)call->arg;
}
