/* SPDX-License-Identifier: MIT */
/*
 * sync/ready_fd.c: a readable descriptor for "there is something": an eventfd that holds 1 or 0.
 * Only its owner reads and writes it, under its lock, so neither ever blocks.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sync/ready_fd.h"

void ready_fd_set(struct ready_fd *ready, bool is_ready)
{
    if (ready->ready == is_ready)
        return;
    ready->ready = is_ready;
    if (!ready->fd_plus_1)
        return;
    eventfd_t taken;
    if (is_ready)
        (void)eventfd_write(ready->fd_plus_1 - 1, 1);
    else
        (void)eventfd_read(ready->fd_plus_1 - 1, &taken);
}

int ready_fd_get(struct ready_fd *ready)
{
    if (!ready->fd_plus_1) {
        int fd = eventfd(ready->ready, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            return -errno;
        ready->fd_plus_1 = fd + 1;
    }
    return ready->fd_plus_1 - 1;
}

void ready_fd_close(struct ready_fd *ready)
{
    if (ready->fd_plus_1)
        close(ready->fd_plus_1 - 1);
    *ready = (struct ready_fd){ 0 };
}
