/* SPDX-License-Identifier: MIT */
/*
 * sync/waitable.h: what select must know of the things of higher rooms (futures, groups): how to
 * try whether a case can happen, and how to wait until it is worth trying again.
 */
#ifndef WEFT_SYNC_WAITABLE_H
#define WEFT_SYNC_WAITABLE_H

#include <weft/select.h>

#include "park/park.h"

struct waitable_ops {
    /* Lets the case happen if it can, without waiting, and sets its result. */
    bool (*try_case)(void *self, weft_case *what);

    /* Starts to wait for it: fills the node. A change from then on wakes it. Nothing to undo. */
    void (*arm)(void *self, struct park_node *node);
};

/* The first member of weft_future and weft_group. */
struct waitable {
    const struct waitable_ops *ops;
};

#endif
