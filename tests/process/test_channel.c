/* SPDX-License-Identifier: MIT */
/* Channels: messages that are cut, cut short, or do not fit. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness.h"
#include "process/channel.h"

static struct channel channel; /* the receiving side */
static int sender;             /* the other end */

static void begin(void)
{
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    channel_init(&channel, ends[0]);
    sender = ends[1];
}

static void end(void)
{
    close(sender);
    channel_deinit(&channel);
}

struct bytes {
    char *data;
    size_t n;
};

static void *send_bytes(void *arg)
{
    const struct bytes *bytes = arg;
    struct setup_head head = { .memory_bytes_max = 5, .has_body = 1 };
    EXPECT_EQ(channel_send(sender, CHANNEL_SETUP, &head, sizeof head, bytes->data, bytes->n), 0);
    return NULL;
}

static void expect_bytes(const struct bytes *bytes)
{
    EXPECT_EQ(channel.first.type, CHANNEL_SETUP);
    EXPECT_EQ(channel.head.setup.memory_bytes_max, 5);
    EXPECT_EQ(channel.first.body_bytes, bytes->n);
    char *body = channel_take_body(&channel);
    EXPECT_MEM(body, bytes->data, bytes->n);
    EXPECT_EQ(body[bytes->n], '\0');
    free(body);
}

static struct bytes make_bytes(size_t n)
{
    struct bytes bytes = { malloc(n + 1), n };
    EXPECT_TRUE(bytes.data);
    for (size_t i = 0; i < n; i++)
        bytes.data[i] = (char)(i * 31 + i / 257);
    return bytes;
}

/* Sends bytes from another thread while this one receives them, waiting in the kernel or not. */
static void expect_to_arrive(size_t n, bool wait)
{
    struct bytes bytes = make_bytes(n);
    pthread_t thread;
    int rc;
    EXPECT_EQ(pthread_create(&thread, NULL, send_bytes, &bytes), 0);
    while ((rc = channel_receive(&channel, wait)) == -EAGAIN && !wait)
        sched_yield();
    EXPECT_EQ(rc, 0);
    pthread_join(thread, NULL);
    expect_bytes(&bytes);
    free(bytes.data);
}

TEST(channel_moves_bodies_of_any_size)
{
    static const size_t sizes[] = { 0,      1,      15,      4096,    16383,         16384,  16385,
                                    147456, 147457, 1 << 20, 1000003, (3 << 20) + 1, 8 << 20 };
    begin();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int wait = 0; wait < 2; wait++)
            expect_to_arrive(sizes[i], wait);
    end();
}

TEST(channel_cuts_smaller_where_socket_buffers_are_small)
{
    int tiny = 1; /* the kernel makes it the least that it allows, less than 8 KiB */
    begin();
    EXPECT_EQ(setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof tiny), 0);
    expect_to_arrive(1 << 20, true);
    end();
}

/* Sends the first datagram of a message of body_bytes, of which only sent are in it. */
static void send_beginning(size_t body_bytes, size_t sent)
{
    static char part[CHANNEL_INLINE_BYTES];
    struct setup_head head = { .has_body = 1 };
    struct packet packet = { .type = CHANNEL_SETUP, .head_bytes = sizeof head };
    packet.body_bytes = body_bytes;
    struct iovec parts[] = { { &packet, sizeof packet }, { &head, sizeof head }, { part, sent } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };
    EXPECT_EQ(sendmsg(sender, &message, 0), sizeof packet + sizeof head + sent);
}

TEST(channel_drops_what_its_sender_did_not_live_to_complete)
{
    static const size_t sizes[] = { 1 << 20, CHANNEL_INLINE_BYTES + 1 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        begin();
        send_beginning(sizes[i], CHANNEL_INLINE_BYTES); /* once, one byte is missing */
        EXPECT_EQ(channel_receive(&channel, false), -EAGAIN);
        EXPECT_EQ(channel_send_value(sender, CHANNEL_END, 9, -1, 0), 0);
        EXPECT_EQ(channel_receive(&channel, true), 0);
        EXPECT_EQ(channel.first.type, CHANNEL_END);
        EXPECT_EQ(channel.first.value, 9);
        close(sender);
        EXPECT_EQ(channel_receive(&channel, true), -EPIPE);
        channel_deinit(&channel);
    }
}

TEST(channel_reads_what_was_sent_before_a_reset)
{
    begin();
    EXPECT_EQ(channel_send_value(channel.fd, CHANNEL_BELL, 0, -1, 0), 0); /* is never read */
    EXPECT_EQ(channel_send_value(sender, CHANNEL_END, 9, -1, 0), 0);
    close(sender);
    EXPECT_EQ(channel_receive(&channel, true), 0);
    EXPECT_EQ(channel.first.type, CHANNEL_END);
    EXPECT_EQ(channel_receive(&channel, true), -EPIPE);
    EXPECT_EQ(channel_send_value(channel.fd, CHANNEL_BELL, 0, -1, 0), -EPIPE);
    channel_deinit(&channel);
}

TEST(channel_refuses_what_is_no_message)
{
    begin();
    EXPECT_EQ(send(sender, "hello", 5, 0), 5);
    EXPECT_EQ(channel_receive(&channel, true), -EPIPE);
    send_beginning(SIZE_MAX, 10);
    EXPECT_EQ(channel_receive(&channel, true), -EPIPE);
    end();
}

TEST(channel_closes_descriptors_that_nobody_took)
{
    begin();
    EXPECT_EQ(channel_send_value(sender, CHANNEL_STARTED, 1, 0, 0), 0);
    EXPECT_EQ(channel_receive(&channel, true), 0);
    EXPECT_GE(channel.passed_fd, 3);
    end(); /* the harness finds descriptors that stay open */
}
