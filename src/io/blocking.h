/* SPDX-License-Identifier: MIT */
/*
 * io/blocking.h: what this room asks of the pool of threads for calls that block (task/blocking.c),
 * beyond weft_blocking(): a call that nobody waits for.
 */
#ifndef WEFT_IO_BLOCKING_H
#define WEFT_IO_BLOCKING_H

#include "base/list.h"

/* Usually a member of what arg points to. */
struct blocking_job {
    int (*fn)(void *arg); /* its result is dropped; it may free the job */
    void *arg;
    void (*dropped)(void *arg, int error); /* instead of fn: no thread could be made after all */
    int result;                            /* the pool's, as is the rest */
    struct strand *strand;                 /* who waits for it; NULL: nobody */
    struct list link;
};

/*
 * Has job->fn(job->arg) called by a thread of the pool.
 * Returns  0: the job is the pool's until fn has it; -EAGAIN, -ENOMEM: no thread could be made, and
 *          neither fn nor dropped is called.
 */
int blocking_start(struct blocking_job *job);

/* The same, but only if it need not wait for a thread that has other work; dropped is not called.
 */
int blocking_try(struct blocking_job *job);

#endif
