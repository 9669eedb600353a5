/* SPDX-License-Identifier: MIT */
/* How the sides that use io_uring by hand make a ring: the flags that serve one thread best. */
#ifndef BENCH_URING_H
#define BENCH_URING_H

#include "harness/harness.h"

#include <liburing.h>

/* To be called by the thread that will use it. Kernels before 6.1 have not got these flags. */
static inline void bench_ring_open(struct io_uring *ring, unsigned entries)
{
    unsigned flags = 0;
#if defined(IORING_SETUP_SINGLE_ISSUER) && defined(IORING_SETUP_DEFER_TASKRUN)
    flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
#endif
    int rc = io_uring_queue_init(entries, ring, flags);
    if (rc == -EINVAL && flags != 0)
        rc = io_uring_queue_init(entries, ring, 0);
    bench_must(rc == 0, "io_uring_queue_init");
}

#endif
