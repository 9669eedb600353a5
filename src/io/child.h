/* SPDX-License-Identifier: MIT */
/* io/child.h: a child before its pipes have become streams, for weft_child_run(). */
#ifndef WEFT_IO_CHILD_H
#define WEFT_IO_CHILD_H

#include "io/child_spawn.h"

/* Starts what was prepared. Returns 0 and *ret_child, to be closed; or as weft_child_open(). */
int child_start(weft_child **ret_child, struct spawn *spawn);

/* Readable once it has ended. Borrowed. */
int child_pidfd(const weft_child *child);

/* Ends it, as weft_child_close() says. After that a wait for it does not wait. */
void child_end(weft_child *child);

#endif
