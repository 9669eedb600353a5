/* SPDX-License-Identifier: MIT */
/*
 * process/ask.c: requests to the zygote.
 *
 * The control socket keeps datagrams whole, so strands and processes may ask at the same time. The
 * answer comes by a socket that the request carries: for a process, its channel; else one that is
 * made for it. A request for a process also carries the control socket itself, for the child: the
 * zygote keeps no copy of that end, and so learns when nobody holds it any more (a program that
 * called exec()).
 *
 * The kernel attaches the asker's process and its real ids to each request. The effective ids it
 * does not, so the asker says them itself: a program that has given up its privileges for a while
 * means it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process/ask.h"
#include "process/block.h"
#include "process/channel.h"
#include "process/descriptors.h"
#include "process/process.h"

/* What is wrong if a request could not be sent. */
static int meaning_of(int rc)
{
    switch (rc) {
    case -ETOOMANYREFS: /* the user has too many descriptors on their way */
        return -EMFILE;
    case -ENOBUFS:
    case -ENOMEM:
        return -ENOMEM;
    case 0:
    case -EBADF:
    case -EINVAL:
        return rc;
    default:
        return -EPIPE;
    }
}

static int send_request(int control, enum zygote_what what, uint64_t value, const int descriptors[],
                        size_t n)
{
    struct zygote_request request = { ZYGOTE_VERSION, what, geteuid(), getegid(), value };
    struct iovec part = { &request, sizeof request };
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(ZYGOTE_DESCRIPTORS * sizeof(int))];
    } rights = { 0 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    message.msg_control = &rights;
    message.msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, n * sizeof(int));
    return meaning_of(block_send(control, &message, 0));
}

static int check(void)
{
    if (process_available())
        return 0;
    return zygote_is_strange() ? -ECHILD : -ENOTCONN;
}

int ask_for_process(int control, int channel)
{
    int rc = check();
    if (rc < 0)
        return rc;
    int directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        return -errno;
    /* A working directory that cannot be opened was removed: the child stays in the zygote's. */
    int descriptors[ZYGOTE_DESCRIPTORS] = { channel, control, directory < 0 ? control : directory };
    rc = send_request(control, ZYGOTE_START, 0, descriptors, ZYGOTE_DESCRIPTORS);
    descriptors_close(directory);
    return rc;
}

/* Receives the answer. Returns 0, with *ret and what came with it; or an error. */
static int receive_answer(int socket, struct ask_answer *ret)
{
    struct packet packet;
    bool truncated;
    ssize_t n = block_receive(socket, &packet, sizeof packet, &ret->fd, &truncated);
    if (n < 0)
        return (int)n;
    if (n != (ssize_t)sizeof packet) /* nobody has answered, nor ever will */
        return zygote_alive(zygote_broker())
                   ? -EMFILE
                   : -EPIPE; /* alive: it had no descriptor for our socket */
    ret->value = packet.value;
    if (packet.type == CHANNEL_FAILED)
        return -(int)packet.value;
    return truncated ? -EMFILE : 0;
}

int ask_zygote(enum zygote_what what, uint64_t value, int fd, struct ask_answer *ret)
{
    int ends[2], rc = check();
    if (rc < 0)
        return rc;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    int descriptors[] = { ends[1], fd };
    rc = send_request(zygote_broker(), what, value, descriptors, fd < 0 ? 1 : 2);
    close(ends[1]); /* which makes room for a descriptor that comes, and an end of the zygote's */
    struct ask_answer answer = { .fd = -1 };
    if (rc == 0)
        rc = receive_answer(ends[0], &answer);
    close(ends[0]);
    if (rc == 0)
        *ret = answer;
    return rc;
}
