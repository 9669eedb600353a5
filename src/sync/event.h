/* SPDX-License-Identifier: MIT */
/* sync/event.h: events for the library's own waits: beside other things, and come what may. */
#ifndef WEFT_SYNC_EVENT_H
#define WEFT_SYNC_EVENT_H

#include <weft/event.h>

#include "park/park.h"

/* Starts to wait, with a node to park on. True: the event is set already. Disarm either way. */
bool event_arm(weft_event *event, struct park_node *node);
void event_disarm(weft_event *event);

/* Waits until the event is set, ignoring cancellation and scopes. */
void event_wait_shielded(weft_event *event);

#endif
