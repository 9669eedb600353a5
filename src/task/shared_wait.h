/* SPDX-License-Identifier: MIT */
/* task/shared_wait.h: how a task sleeps on words that processes share: strand_ops.sleep_shared().
 */
#ifndef WEFT_TASK_SHARED_WAIT_H
#define WEFT_TASK_SHARED_WAIT_H

#include "park/strand.h"

void task_sleep_shared(struct strand *self, struct park_node *nodes, size_t n,
                       weft_deadline deadline);

#endif
