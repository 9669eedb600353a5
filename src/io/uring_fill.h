/* SPDX-License-Identifier: MIT */
/* io/uring_fill.h: operations as entries of the ring. */
#ifndef WEFT_IO_URING_FILL_H
#define WEFT_IO_URING_FILL_H

#include <liburing.h>

#include "io/reactor.h"

/* An entry for an operation of size bytes (IO_FUTEX: places). The caller sets its user data. */
void uring_fill(struct io_uring_sqe *sqe, const struct io_op *op, unsigned size);

/* Whether the kernel does IO_FUTEX. */
bool uring_has_futexes(struct io_uring *ring);

#endif
