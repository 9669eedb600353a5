/* SPDX-License-Identifier: MIT */
/* What a worker process does, and what it and its parent write to each other. */
#ifndef FETCH_CREW_WORK_H
#define FETCH_CREW_WORK_H

#include "transfer.h"

/* The two queues, in memory that both see, and opened and closed by the parent. Neither is ever
 * full: the parent has no more orders out than there is room for, and each has one answer. */
struct post {
    weft_queue *orders;  /* of struct order; shut down: no more will come */
    weft_queue *answers; /* of struct answer */
    uint32_t number;     /* of the process, from 0 */
};

/* To make one attempt. */
struct order {
    const struct task *task; /* shared, the parent's; read until it is answered */
    uint32_t slot;           /* to be repeated in the answer */
};

/* The first answer of a worker process: it is ready for orders. */
#define SLOT_READY UINT32_MAX

/* What became of it. */
struct answer {
    struct result *result; /* shared, the receiver's; NULL: the attempt could not be made */
    size_t bytes;
    uint32_t slot;
    int error; /* why not, a negative errno */
};

/* The life of a worker process: a call whose argument is a struct post and whose context is a
 * struct plan. Answers all orders, each in a task of its own, until there will be no more. */
int crew_work(weft_call *call);

#endif
