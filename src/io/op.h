/* SPDX-License-Identifier: MIT */
/*
 * io/op.h: one I/O operation as one wait of the calling strand, whatever its kind. A task hands it
 * to its worker's reactor and parks; a thread makes the system call, and polls while it would
 * block. Everything else of this room that waits goes through here.
 */
#ifndef WEFT_IO_OP_H
#define WEFT_IO_OP_H

#include "io/reactor.h"

/*
 * Carries out an operation (io/reactor.h says which fields it takes; done and what follows are set
 * here) and returns when the kernel has let go of its buffer.
 * Returns  what the system call would, or -errno; -ETIMEDOUT, -ECANCELED (also of a scope's
 *          deadline): nothing has happened. With WEFT_NOW, or cancelled: tries, does not wait.
 *          Never -EINTR, never -EAGAIN.
 */
ssize_t io_run(struct io_op *op, weft_deadline deadline);

#endif
