/* SPDX-License-Identifier: MIT */
/* process/block.c: the waits of this room that nothing may end. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <weft/fd.h>
#include <weft/scope.h>

#include "park/strand.h"
#include "process/block.h"
#include "process/descriptors.h"

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

/* Receives, waiting as a strand of this kind may. */
static ssize_t receive_waiting(int fd, struct msghdr *message)
{
    int flags = MSG_CMSG_CLOEXEC | (block_allowed() ? 0 : MSG_DONTWAIT);
    for (;;) {
        ssize_t n = recvmsg(fd, message, flags);
        if (n >= 0 || (errno != EAGAIN && errno != EINTR && errno != ECONNRESET))
            return n < 0 ? -errno : n;
        if (errno == EAGAIN)
            block_until(fd, POLLIN);
    }
}

ssize_t block_receive(int fd, void *bytes, size_t n, int *ret_fd, bool *ret_truncated)
{
    struct iovec part = { bytes, n };
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    ssize_t received = receive_waiting(fd, &message);
    *ret_fd = -1;
    *ret_truncated = received >= 0 && message.msg_flags & MSG_CTRUNC;
    struct cmsghdr *rights = received < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
        memcpy(ret_fd, CMSG_DATA(rights), sizeof(int));
        *ret_fd = descriptors_raise(*ret_fd);
        *ret_truncated |= *ret_fd < 0;
    }
    return received;
}
