/* SPDX-License-Identifier: MIT */
/* Streams: many parts are written as one, however the system cuts them. */
#include <limits.h>
#include <sys/uio.h>

#include "pair.h"

/* More parts than one system call takes (of ours, and of the system), some of them empty, and more
   bytes than a socket or a pipe holds. */
enum { PARTS = 3000, LONG_BYTES = 4 << 20, LARGE_PART = 1500 };

static char bytes[LONG_BYTES];
static struct iovec parts[PARTS];

/* Of the other bytes the large part has what the small ones leave. */
static void cut(void)
{
    size_t done = 0;
    fill(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < PARTS; i++) {
        size_t n = i % 97; /* 0 now and then, also at both ends */
        if (i == LARGE_PART)
            n = LONG_BYTES / 2;
        if (i == PARTS - 2)
            n = LONG_BYTES - done;
        if (i == PARTS - 1)
            n = 0;
        parts[i] = (struct iovec){ bytes + done, n };
        done += n;
    }
    EXPECT_EQ(done, (size_t)LONG_BYTES);
}

static void write_parts(size_t index)
{
    static struct iovec before[PARTS];
    (void)index;
    memcpy(before, parts, sizeof parts);
    EXPECT_EQ(weft_stream_writev(ours, parts, PARTS, WEFT_FOREVER), LONG_BYTES);
    EXPECT_EQ(weft_stream_written(ours), (uint64_t)LONG_BYTES);
    EXPECT_MEM(parts, before, sizeof parts);
    EXPECT_EQ(weft_stream_shutdown(ours, SHUT_WR), 0);
}

/* In steps that have nothing to do with the parts. */
static void read_all(void)
{
    static char data[100003];
    ssize_t n;
    size_t done = 0;
    while ((n = weft_stream_read(theirs, data, sizeof data, WEFT_FOREVER)) > 0) {
        expect_pattern(data, done, (size_t)n);
        done += (size_t)n;
    }
    EXPECT_EQ(n, 0);
    EXPECT_EQ(done, (size_t)LONG_BYTES);
}

static void send_in_parts(void)
{
    cut();
    struct strands *writer = strands_start(1, write_parts);
    read_all();
    strands_join(writer);
    part();
}

TEST(parts_arrive_as_one_over_tcp)
{
    pair_at("127.0.0.1:0");
    send_in_parts();
}

TEST(parts_arrive_as_one_over_unix_sockets)
{
    pair_at(unix_address());
    send_in_parts();
}

/* So that the system takes a little at a time, and ends within parts. */
TEST(parts_arrive_as_one_though_buffers_are_small)
{
    int small = 1; /* the least that the system allows */
    pair_at(unix_address());
    EXPECT_EQ(
        setsockopt(weft_stream_fd(ours), SOL_SOCKET, SO_SNDBUF, &small, (socklen_t)sizeof small),
        0);
    send_in_parts();
}

TEST(parts_arrive_as_one_over_a_pipe)
{
    pipe_pair();
    send_in_parts();
}

static void write_nothing(size_t index)
{
    struct iovec empty[2] = { { NULL, 0 }, { bytes, 0 } };
    struct iovec too_much[2] = { { bytes, SSIZE_MAX }, { bytes, 1 } };
    (void)index;
    EXPECT_EQ(weft_stream_writev(ours, NULL, 0, WEFT_NOW), 0);
    EXPECT_EQ(weft_stream_writev(ours, empty, 2, WEFT_NOW), 0);
    EXPECT_EQ(weft_stream_writev(ours, too_much, 2, WEFT_NOW), -EINVAL);
    EXPECT_EQ(weft_stream_written(ours), 0);
}

TEST(nothing_is_written_of_no_parts_nor_of_too_many_bytes)
{
    pair_at(unix_address());
    in_strand(write_nothing);
    part();
}

static void write_to_nobody(size_t index)
{
    struct iovec two[2] = { { bytes, 1 }, { bytes, 1 } };
    (void)index;
    EXPECT_EQ(weft_stream_writev(ours, two, 2, WEFT_FOREVER), -EPIPE);
}

TEST(parts_for_a_peer_that_is_gone_fail_without_a_signal)
{
    pair_at(unix_address());
    weft_stream_close(theirs);
    theirs = NULL;
    in_strand(write_to_nobody);
    part();
    pipe_pair();
    weft_stream_close(theirs);
    theirs = NULL;
    in_strand(write_to_nobody);
    part();
}
