/* SPDX-License-Identifier: MIT */
/* io/late.h: for what waits in parts: whether another one shall begin. */
#ifndef WEFT_IO_LATE_H
#define WEFT_IO_LATE_H

#include <errno.h>

#include <weft/scope.h>
#include <weft/self.h>

#include "io/poll.h"

/* Returns 0; -ECANCELED; -ETIMEDOUT: of the deadline or a scope's, which then knows. */
static inline int look_for_end(weft_deadline deadline)
{
    if (weft_cancelled())
        return -ECANCELED;
    if (weft_left(weft_sooner(deadline, weft_scope_deadline())))
        return 0;
    poll_blame_scope(strand_self(), deadline);
    return -ETIMEDOUT;
}

#endif
