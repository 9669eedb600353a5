/* SPDX-License-Identifier: MIT */
/* Reading exactly and reading up to a byte: all or nothing, across buffers and limits. */
#include <stdlib.h>

#include "pair.h"

enum { LARGE = 200000, BUFFER = 16384 };

static char data[LARGE];

static void write_pattern(weft_stream *stream, size_t from, size_t n)
{
    char *bytes = malloc(n);
    fill(bytes, from, n);
    EXPECT_EQ(weft_stream_write(stream, bytes, n, WEFT_FOREVER), (ssize_t)n);
    free(bytes);
}

static ssize_t exactly(size_t n, weft_deadline deadline)
{
    return weft_stream_read_exactly(theirs, data, n, deadline);
}

static ssize_t line(size_t limit, weft_deadline deadline)
{
    memset(data, 0, limit < sizeof data ? limit + 1 : limit);
    return weft_stream_read_until(theirs, data, limit, '\n', deadline);
}

static ssize_t some(size_t n)
{
    memset(data, 0, n + 1);
    return weft_stream_read(theirs, data, n, WEFT_FOREVER);
}

/* ---- exactly */

static void take_pieces(size_t index)
{
    size_t done = 0;
    (void)index;
    for (size_t i = 0; done < LARGE; i++) {
        size_t n = 1 + i * 977 % 40000; /* below and above what the buffer holds */
        n = n < LARGE - done ? n : LARGE - done;
        EXPECT_EQ(exactly(n, WEFT_FOREVER), (ssize_t)n);
        expect_pattern(data, done, n);
        done += n;
    }
    EXPECT_EQ(weft_stream_buffered(theirs), 0);
    EXPECT_EQ(exactly(1, WEFT_FOREVER), 0);
    EXPECT_EQ(exactly(LARGE, WEFT_FOREVER), 0);
    EXPECT_EQ(exactly(0, WEFT_FOREVER), 0);
}

TEST(exactly_puts_pieces_together)
{
    pair_at("127.0.0.1:0");
    struct strands *strand = strands_start(1, take_pieces);
    for (size_t done = 0, n; done < LARGE; done += n) {
        n = 1 + done % 5000;
        n = n < LARGE - done ? n : LARGE - done;
        write_pattern(ours, done, n);
    }
    EXPECT_EQ(weft_stream_shutdown(ours, SHUT_WR), 0);
    strands_join(strand);
    part();
}

static void meet_end(size_t index)
{
    (void)index;
    EXPECT_EQ(exactly(10, WEFT_FOREVER), -ENODATA);
    EXPECT_EQ(weft_stream_buffered(theirs), 5);
    EXPECT_EQ(exactly(LARGE, WEFT_FOREVER), -ENODATA);
    EXPECT_EQ(weft_stream_buffered(theirs), 5);
    EXPECT_EQ(line(10, WEFT_FOREVER), -ENODATA);
    EXPECT_EQ(some(2), 2);
    EXPECT_STR(data, "he");
    EXPECT_EQ(exactly(3, WEFT_NOW), 3);
    EXPECT_EQ(exactly(1, WEFT_FOREVER), 0);
    EXPECT_EQ(line(10, WEFT_FOREVER), 0);
}

TEST(an_end_half_way_leaves_what_came)
{
    pair_at("127.0.0.1:0");
    send_ours("hello");
    EXPECT_EQ(weft_stream_shutdown(ours, SHUT_WR), 0);
    in_strand(meet_end);
    part();
}

static void be_late_in_large(size_t index)
{
    (void)index;
    UNTIL(exactly(50000, WEFT_NOW) == 50000);
    expect_pattern(data, 0, 50000);
    while (weft_stream_buffered(theirs) < 30000)
        EXPECT_EQ(exactly(LARGE, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_stream_buffered(theirs), 30000);
    EXPECT_EQ(exactly(10000, WEFT_NOW), 10000); /* a part of what was put back */
    expect_pattern(data, 50000, 10000);
    about_to_wait();
    EXPECT_EQ(exactly(100000, WEFT_FOREVER), 100000);
    expect_pattern(data, 60000, 100000);
}

TEST(a_large_read_that_is_late_loses_nothing)
{
    pair_at(unix_address());
    struct strands *strand = strands_start(1, be_late_in_large);
    write_pattern(ours, 0, 80000);
    until_it_waits();
    write_pattern(ours, 80000, 80000);
    strands_join(strand);
    part();
}

/* ---- until */

static void take_lines(size_t index)
{
    (void)index;
    EXPECT_EQ(line(100, WEFT_FOREVER), 4);
    EXPECT_STR(data, "one\n");
    EXPECT_EQ(line(1, WEFT_FOREVER), 1);
    EXPECT_STR(data, "\n");
    EXPECT_EQ(line(6, WEFT_FOREVER), 6);
    EXPECT_STR(data, "three\n");
    EXPECT_EQ(line(5, WEFT_FOREVER), -EMSGSIZE);
    EXPECT_EQ(line(6, WEFT_FOREVER), -EMSGSIZE);
    EXPECT_EQ(some(3), 3);
    EXPECT_STR(data, "sev");
    EXPECT_EQ(line(4, WEFT_FOREVER), 4);
    EXPECT_STR(data, "ens\n");
    EXPECT_EQ(line(0, WEFT_FOREVER), -EINVAL);
    about_to_wait();
    EXPECT_EQ(line(100, WEFT_FOREVER), 6);
    EXPECT_STR(data, "split\n");
}

TEST(until_gives_lines_within_a_limit)
{
    pair_at("127.0.0.1:0");
    send_ours("one\n\nthree\nsevens\nspl");
    struct strands *strand = strands_start(1, take_lines);
    until_it_waits();
    send_ours("it\n");
    strands_join(strand);
    part();
}

static void take_long_lines(size_t index)
{
    (void)index;
    for (size_t n = BUFFER - 2; n <= BUFFER + 2; n++) {
        EXPECT_EQ(line(LARGE, WEFT_FOREVER), (ssize_t)n);
        EXPECT_EQ(data[0], 'a');
        EXPECT_EQ(data[n - 1], '\n');
    }
    EXPECT_EQ(line(LARGE / 2, WEFT_FOREVER), LARGE / 2);
    EXPECT_EQ(line(LARGE / 2, WEFT_FOREVER), -EMSGSIZE);
    EXPECT_EQ(line(LARGE / 2 + 1, WEFT_FOREVER), LARGE / 2 + 1);
    EXPECT_EQ(line(LARGE, WEFT_FOREVER), 0);
}

static void write_line(size_t n)
{
    char *text = malloc(n);
    memset(text, 'a', n);
    text[n - 1] = '\n';
    EXPECT_EQ(weft_stream_write(ours, text, n, WEFT_FOREVER), (ssize_t)n);
    free(text);
}

TEST(until_takes_lines_longer_than_its_buffer)
{
    pair_at("127.0.0.1:0");
    struct strands *strand = strands_start(1, take_long_lines);
    for (size_t n = BUFFER - 2; n <= BUFFER + 2; n++)
        write_line(n);
    write_line(LARGE / 2);
    write_line(LARGE / 2 + 1);
    EXPECT_EQ(weft_stream_shutdown(ours, SHUT_WR), 0);
    strands_join(strand);
    part();
}

static void mix(size_t index)
{
    (void)index;
    EXPECT_EQ(line(100, WEFT_FOREVER), 7);
    EXPECT_STR(data, "length\n");
    EXPECT_EQ(exactly(BUFFER + 1000, WEFT_FOREVER), BUFFER + 1000);
    expect_pattern(data, 0, BUFFER + 1000);
    EXPECT_EQ(line(100, WEFT_FOREVER), 4);
    EXPECT_STR(data, "end\n");
}

TEST(lines_and_bytes_may_take_turns)
{
    pair_at("127.0.0.1:0");
    struct strands *strand = strands_start(1, mix);
    send_ours("length\n");
    write_pattern(ours, 0, BUFFER + 1000);
    send_ours("end\n");
    strands_join(strand);
    part();
}
