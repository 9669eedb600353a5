/* SPDX-License-Identifier: MIT */
/* pool/processes.h: what pools and groups of processes do alike, as runners (processes.c). */
#ifndef WEFT_POOL_PROCESSES_H
#define WEFT_POOL_PROCESSES_H

#include "pool/crew.h"

int processes_admit(const struct crew *crew, weft_fn *fn, const void *pointer);
int processes_wait(struct crew *crew, weft_future *future, weft_deadline deadline);

/* The visit began with crew_hold(). */
void processes_cancel(struct crew *crew, weft_future *future);

#endif
