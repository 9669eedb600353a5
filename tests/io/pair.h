/* SPDX-License-Identifier: MIT */
/* Two ends of a connection: `theirs` for the strand under test, `ours` for the test itself. */
#ifndef PAIR_H
#define PAIR_H

#include "streams.h"

static weft_stream *ours, *theirs;

static void pair_at(const char *at)
{
    listen_at(at, 0);
    EXPECT_EQ(weft_stream_dial(&ours, address, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_listener_accept(listener, &theirs, WEFT_FOREVER), 0);
    weft_listener_close(listener);
}

/* From ours to theirs. */
__attribute__((unused)) static void pipe_pair(void)
{
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(weft_stream_adopt(&theirs, ends[0]), 0);
    EXPECT_EQ(weft_stream_adopt(&ours, ends[1]), 0);
}

static void part(void)
{
    weft_stream_close(ours);
    weft_stream_close(theirs);
}

__attribute__((unused)) static void send_ours(const char *text)
{
    EXPECT_EQ(weft_stream_write(ours, text, strlen(text), WEFT_FOREVER), (ssize_t)strlen(text));
}

/* Ends our side without care: the peer gets a reset. */
__attribute__((unused)) static void reset_ours(void)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    EXPECT_EQ(setsockopt(weft_stream_fd(ours), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    weft_stream_close(ours);
    ours = NULL;
}

/* Byte number i of a long message. */
static inline char pattern(size_t i)
{
    return (char)(i * 7 + i / 251);
}

__attribute__((unused)) static void fill(char *data, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        data[i] = pattern(from + i);
}

__attribute__((unused)) static void expect_pattern(const char *data, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (data[i] != pattern(from + i))
            FAIL("byte %zu is wrong", from + i);
}

#endif
