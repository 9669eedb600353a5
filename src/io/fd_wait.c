/* SPDX-License-Identifier: MIT */
/* io/fd_wait.c: waiting on a descriptor of the program's own. */
#include <errno.h>

#include <weft/fd.h>

#include "io/op.h"

int weft_fd_wait(int fd, int events, weft_deadline deadline)
{
    if (fd < 0)
        return -EBADF;
    struct io_op op = { .code = IO_POLL, .fd = fd, .flags = events };
    return (int)io_run(&op, deadline);
}
