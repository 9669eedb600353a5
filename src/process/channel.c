/* SPDX-License-Identifier: MIT */
/*
 * process/channel.c: messages of any size over sockets that keep datagrams whole and in order.
 *
 * A message is a head of fixed size and a body of 0 bytes to 1 GiB. It is cut into datagrams, each
 * of which starts with a struct packet:
 *
 *     packet head body[0..16K)      packet body[16K..144K)      packet body[144K..272K)   ...
 *
 * so a small message is one datagram, received into a buffer that exists, and of a larger one all
 * but the first part is received where it stays. The sender copies nothing.
 *
 * Two processes send to the owner: the child, and the zygote once the child was reaped. The kernel
 * keeps their datagrams in order, so the zygote's comes last, perhaps in the middle of a message
 * that the child did not live to complete. A packet that does not continue the message at hand
 * therefore replaces it. (The zygote's messages have no head: they fit into the packet, wherever
 * the rest of the datagram was to go.)
 *
 * Closing a socket with unread datagrams makes the kernel report ECONNRESET once to the other side,
 * before what lies in its queue: reading goes on.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "process/block.h"
#include "process/channel.h"
#include "process/descriptors.h"
#include "strand/call.h"

#define PART_BYTES     ((size_t)128 << 10) /* the kernel's default buffer holds 208 KiB */
#define PART_BYTES_MIN ((size_t)1 << 10)

union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
};

/* ---- sending */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Whether smaller parts may help: they do where the system's socket buffers are small. */
static bool too_large(int rc)
{
    return rc == -EMSGSIZE || rc == -ENOBUFS || rc == -ENOMEM;
}

int channel_send(int fd, enum channel_type type, const void *head, size_t head_bytes,
                 const void *body, size_t body_bytes)
{
    struct packet packet = { .type = type, .head_bytes = (uint32_t)head_bytes };
    size_t part_max = PART_BYTES, part;
    packet.body_bytes = body_bytes;
    do {
        size_t left = body_bytes - packet.offset;
        part = smaller(left, part_max);
        if (packet.offset == 0)
            part = smaller(part, CHANNEL_INLINE_BYTES);
        struct iovec parts[] = { { &packet, sizeof packet },
                                 { (void *)head, packet.head_bytes },
                                 { part ? (char *)body + packet.offset : NULL, part } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };
        int rc = block_send(fd, &message, 0);
        if (too_large(rc) && part > PART_BYTES_MIN) {
            part_max = part / 2;
            continue;
        }
        if (rc < 0)
            return too_large(rc) ? -ENOMEM : rc;
        packet.offset += part;
        packet.head_bytes = 0;
    } while (packet.offset < body_bytes);
    return 0;
}

int channel_send_value(int fd, enum channel_type type, uint64_t value, int pass_fd, int flags)
{
    struct packet packet = { .type = type, .value = value };
    struct iovec part = { &packet, sizeof packet };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    union control control = { 0 };
    if (pass_fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &pass_fd, sizeof(int));
    }
    return block_send(fd, &message, flags);
}

/* ---- receiving */

void channel_init(struct channel *channel, int fd)
{
    memset(channel, 0, offsetof(struct channel, inbox));
    channel->fd = fd;
    channel->passed_fd = -1;
    channel->body = channel->inbox;
}

/* A body in the inbox follows the head there; any other was malloc'ed. */
static bool is_inline(const struct channel *channel)
{
    return channel->body == channel->inbox + channel->first.head_bytes;
}

static void forget_message(struct channel *channel)
{
    if (!is_inline(channel))
        free(channel->body);
    descriptors_close(channel->passed_fd);
    channel->passed_fd = -1;
    channel->body = channel->inbox;
    channel->first = (struct packet){ 0 };
    channel->received = 0;
}

void channel_deinit(struct channel *channel)
{
    forget_message(channel);
    descriptors_close(channel->fd);
    channel->fd = -1;
}

static bool complete(const struct channel *channel)
{
    return channel->first.type && channel->received == channel->first.body_bytes;
}

/* Takes the first packet of a message, the rest of whose datagram, n bytes, lies in the inbox.
 * Returns 0; -EPIPE: it is nothing that we send. */
static int begin_message(struct channel *channel, const struct packet *packet, size_t n)
{
    size_t head_bytes = packet->head_bytes, body_bytes = packet->body_bytes;
    forget_message(channel);
    if (packet->type == CHANNEL_END || packet->type == CHANNEL_FAILED)
        n = 0; /* it may stand where a body was to go on: nothing lies in the inbox */
    if (packet->offset || head_bytes > sizeof channel->head || n < head_bytes ||
        n - head_bytes > smaller(CHANNEL_INLINE_BYTES, body_bytes) || body_bytes > CALL_BYTES_MAX)
        return -EPIPE;
    channel->first = *packet;
    channel->received = n - head_bytes;
    memcpy(&channel->head, channel->inbox, head_bytes);
    channel->body = channel->inbox + head_bytes;
    if (channel->received < body_bytes) {
        channel->body = malloc(body_bytes + 1);
        if (!channel->body)
            return 0; /* the parts that follow are received and dropped */
        memcpy(channel->body, channel->inbox + head_bytes, channel->received);
    }
    channel->body[body_bytes] = '\0';
    return 0;
}

/* Takes a packet with n bytes behind it. */
static int take_packet(struct channel *channel, const struct packet *packet, size_t n)
{
    const struct packet *first = &channel->first;
    if (packet->type != first->type || packet->offset == 0 || packet->offset != channel->received)
        return begin_message(channel, packet, n);
    if (n == 0 || n > first->body_bytes - channel->received)
        return -EPIPE;
    channel->received += n;
    return 0;
}

static void take_descriptor(struct channel *channel, struct msghdr *message)
{
    struct cmsghdr *rights = CMSG_FIRSTHDR(message);
    if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
        return;
    memcpy(&channel->passed_fd, CMSG_DATA(rights), sizeof(int));
    channel->passed_fd = descriptors_raise(channel->passed_fd);
}

/* Receives one datagram. Returns 0; -EINTR, -ECONNRESET: try again; -EAGAIN: not to wait, and there
 * is none; -EPIPE. */
static int receive_datagram(struct channel *channel, int flags)
{
    struct packet packet;
    union control control;
    struct iovec parts[] = { { &packet, sizeof packet },
                             { channel->inbox, sizeof channel->inbox - 1 } };
    if (channel->first.type && channel->body) {
        parts[1].iov_base = channel->body + channel->received;
        parts[1].iov_len = channel->first.body_bytes - channel->received;
    }
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    /* MSG_TRUNC asks for the real length, also of a part that there is no memory for. */
    ssize_t n = recvmsg(channel->fd, &message, flags | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN || errno == ECONNRESET ? -errno : -EPIPE;
    if (n < (ssize_t)sizeof packet)
        return -EPIPE; /* 0: all who could send have closed their ends */
    int rc = take_packet(channel, &packet, (size_t)n - sizeof packet);
    take_descriptor(channel, &message);
    return rc;
}

int channel_receive(struct channel *channel, bool wait)
{
    if (complete(channel))
        forget_message(channel);
    while (!complete(channel)) {
        int rc = receive_datagram(channel, wait && block_allowed() ? 0 : MSG_DONTWAIT);
        if (rc == -EAGAIN && wait)
            block_until(channel->fd, POLLIN);
        else if (rc < 0 && rc != -EINTR && rc != -ECONNRESET)
            return rc;
    }
    return 0;
}

char *channel_take_body(struct channel *channel)
{
    char *body = channel->body;
    if (is_inline(channel))
        return call_buffer(body, channel->first.body_bytes);
    channel->body = NULL;
    return body;
}
