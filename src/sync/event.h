/* SPDX-License-Identifier: MIT */
/* sync/event.h: events for the library's own waits: beside other things, and come what may. */
#ifndef WEFT_SYNC_EVENT_H
#define WEFT_SYNC_EVENT_H

#include <weft/event.h>

#include "park/park.h"

/* Starts to wait, with a node to park on. True: the event is set already. Nothing to undo. */
bool event_arm(weft_event *event, struct park_node *node);

/* Whether the event of an armed node has been set since then, even if it was cleared again. */
bool event_was_set(const struct park_node *node);

/* As weft_event_wait(), with the flags of park_wait(). */
int event_wait(weft_event *event, weft_deadline deadline, unsigned flags);

#endif
