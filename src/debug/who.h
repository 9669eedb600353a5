/* SPDX-License-Identifier: MIT */
/* debug/who.h: who runs a strand. */
#ifndef WEFT_DEBUG_WHO_H
#define WEFT_DEBUG_WHO_H

#include "park/strand.h"

/* The number of the worker that runs a task; -1: the calling strand is none. */
int64_t who_worker(const struct strand *self);

#endif
