/* SPDX-License-Identifier: MIT */
/* process/block.c: the waits of this room that nothing may end. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <weft/fd.h>
#include <weft/scope.h>

#include "park/strand.h"
#include "process/block.h"

bool block_allowed(void)
{
    return !strand_self()->reactor;
}

void block_until(int fd, int events)
{
    weft_scope shield;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    int rc = weft_fd_wait(fd, events, WEFT_FOREVER);
    weft_scope_leave(&shield);
    if (rc < 0)
        (void)poll(&(struct pollfd){ .fd = fd, .events = (short)events }, 1, -1);
}

int block_send(int fd, const struct msghdr *message, int flags)
{
    int call_flags = MSG_NOSIGNAL | flags | (block_allowed() ? 0 : MSG_DONTWAIT);
    for (;;) {
        if (sendmsg(fd, message, call_flags) >= 0)
            return 0;
        if (errno == EAGAIN && !flags)
            block_until(fd, POLLOUT);
        else if (errno != EINTR)
            return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
    }
}
