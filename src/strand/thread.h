/* SPDX-License-Identifier: MIT */
/*
 * strand/thread.h: the threads that weft makes: a set of them that is ended and joined together.
 */
#ifndef WEFT_STRAND_THREAD_H
#define WEFT_STRAND_THREAD_H

#include <weft/lock.h>

#include "base/list.h"
#include "sync/signal.h"

struct thread_set {
    weft_lock lock;
    struct list live, ended; /* guarded by the lock */
    unsigned ended_count;    /* guarded by the lock */
    struct signal gone;      /* raised under the lock: live is empty */
    const char *name;        /* borrowed; threads are called NAME-0, NAME-1, ... */
    size_t stack_bytes;      /* 0: the system's default */
    uint64_t started;        /* guarded by the lock */
};

void thread_set_init(struct thread_set *set, const char *name, size_t stack_bytes);

/*
 * Starts a thread that runs body(ctx), and joins those that ended some time ago.
 * Returns  0; -EAGAIN: the system has no room for another; -EINVAL: stack_bytes too small;
 *          -ENOMEM.
 */
int thread_start(struct thread_set *set, void (*body)(void *ctx), void *ctx);

/* Waits for those that still run, as any strand waits, and joins all. Not from one of them. */
void thread_set_join(struct thread_set *set);

#endif
