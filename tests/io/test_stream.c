/* SPDX-License-Identifier: MIT */
/* Streams: bytes come through, ends and resets are told, and shutting down ends waits. */
#include <pthread.h>
#include <signal.h>

#include "pair.h"

enum { LONG_BYTES = 1 << 20 };

/* ---- echo */

static void echo(size_t index)
{
    char data[5000];
    ssize_t n;
    (void)index;
    while ((n = weft_stream_read(theirs, data, sizeof data, WEFT_FOREVER)) > 0)
        EXPECT_EQ(weft_stream_write(theirs, data, (size_t)n, WEFT_FOREVER), n);
    EXPECT_EQ(n, 0);
    EXPECT_EQ(weft_stream_shutdown(theirs, SHUT_WR), 0);
}

static void write_long(void)
{
    char data[3000];
    for (size_t done = 0; done < LONG_BYTES;) {
        size_t n = LONG_BYTES - done < sizeof data ? LONG_BYTES - done : sizeof data;
        fill(data, done, n);
        EXPECT_EQ(weft_stream_write(ours, data, n, WEFT_FOREVER), (ssize_t)n);
        done += n;
    }
    EXPECT_EQ(weft_stream_shutdown(ours, SHUT_WR), 0);
    EXPECT_EQ(weft_stream_written(ours), (size_t)LONG_BYTES);
}

static void read_long(void)
{
    char data[7000];
    ssize_t n;
    size_t done = 0;
    while ((n = weft_stream_read(ours, data, sizeof data, WEFT_FOREVER)) > 0) {
        expect_pattern(data, done, (size_t)n);
        done += (size_t)n;
    }
    EXPECT_EQ(n, 0);
    EXPECT_EQ(done, (size_t)LONG_BYTES);
}

/* One reads while another writes, and a third sends back. */
static void long_echo(size_t index)
{
    if (index == 0)
        echo(index);
    else if (index == 1)
        write_long();
    else
        read_long();
}

static void echo_at(const char *at)
{
    pair_at(at);
    struct strands *echoes = strands_start(1, echo);
    for (int i = 0; i < 100; i++) {
        char data[6] = "";
        send_ours("hello");
        EXPECT_EQ(weft_stream_read_exactly(ours, data, 5, WEFT_FOREVER), 5);
        EXPECT_STR(data, "hello");
    }
    EXPECT_EQ(weft_stream_shutdown(ours, SHUT_WR), 0);
    strands_join(echoes);
    part();
    pair_at(at);
    strands_join(strands_start(3, long_echo));
    part();
}

TEST(it_echoes_over_ipv4)
{
    echo_at("127.0.0.1:0");
}

TEST(it_echoes_over_ipv6)
{
    echo_at("[::1]:0");
}

TEST(it_echoes_over_unix_sockets)
{
    echo_at(unix_address());
}

/* ---- ends */

static void count_and_answer(size_t index)
{
    char data[10], answer[32];
    size_t count = 0;
    ssize_t n;
    (void)index;
    while ((n = weft_stream_read(theirs, data, sizeof data, WEFT_FOREVER)) > 0)
        count += (size_t)n;
    EXPECT_EQ(n, 0);
    EXPECT_EQ(weft_stream_read(theirs, data, sizeof data, WEFT_FOREVER), 0);
    n = snprintf(answer, sizeof answer, "%zu\n", count);
    EXPECT_EQ(weft_stream_write(theirs, answer, (size_t)n, WEFT_FOREVER), n);
}

TEST(after_a_half_close_the_answer_still_comes)
{
    pair_at("127.0.0.1:0");
    struct strands *strand = strands_start(1, count_and_answer);
    char answer[10] = "";
    send_ours("thirteen byte");
    EXPECT_EQ(weft_stream_shutdown(ours, SHUT_WR), 0);
    EXPECT_EQ(weft_stream_write(ours, "x", 1, WEFT_FOREVER), -EPIPE);
    EXPECT_EQ(weft_stream_read_until(ours, answer, sizeof answer, '\n', WEFT_FOREVER), 3);
    EXPECT_STR(answer, "13\n");
    strands_join(strand);
    part();
}

static void meet_reset(size_t index)
{
    char byte, text[WEFT_ADDRESS_BYTES], before[WEFT_ADDRESS_BYTES];
    (void)index;
    EXPECT_EQ(weft_stream_peer(theirs, before, sizeof before), 0);
    about_to_wait();
    EXPECT_EQ(weft_stream_read(theirs, &byte, 1, WEFT_FOREVER), -ECONNRESET);
    EXPECT_EQ(weft_stream_read(theirs, &byte, 1, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_stream_write(theirs, "x", 1, WEFT_FOREVER), -EPIPE);
    EXPECT_EQ(weft_stream_shutdown(theirs, SHUT_RDWR), 0);
    EXPECT_EQ(weft_stream_peer(theirs, text, sizeof text), 0);
    EXPECT_STR(text, before);
}

TEST(a_reset_is_told_and_the_peer_stays_known)
{
    pair_at("127.0.0.1:0");
    struct strands *strand = strands_start(1, meet_reset);
    until_it_waits();
    reset_ours();
    strands_join(strand);
    part();
}

static void write_for_ever(size_t index)
{
    static char data[100000];
    ssize_t n;
    (void)index;
    about_to_wait();
    while ((n = weft_stream_write(theirs, data, sizeof data, WEFT_FOREVER)) > 0) {
    }
    EXPECT_TRUE(n == -EPIPE || n == -ECONNRESET);
}

/* SIGPIPE would end this process. */
TEST(writing_to_a_peer_that_closes_fails_without_a_signal)
{
    const char *at[] = { "127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 2; i++) {
        pair_at(at[i]);
        struct strands *strand = strands_start(1, write_for_ever);
        until_it_waits();
        weft_stream_close(ours);
        ours = NULL;
        strands_join(strand);
        part();
    }
}

static void read_zero(size_t index)
{
    char byte;
    (void)index;
    about_to_wait();
    EXPECT_EQ(weft_stream_read(theirs, &byte, 1, WEFT_FOREVER), 0);
}

static void write_until_shut(size_t index)
{
    static char data[100000];
    ssize_t n;
    (void)index;
    about_to_wait();
    while ((n = weft_stream_write(theirs, data, sizeof data, WEFT_FOREVER)) > 0) {
    }
    EXPECT_EQ(n, -EPIPE);
}

TEST(shutting_down_ends_the_waits_of_others)
{
    const char *at[] = { "127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 2; i++) {
        pair_at(at[i]);
        struct strands *reader = strands_start(1, read_zero);
        until_it_waits();
        struct strands *writer = strands_start(1, write_until_shut);
        until_it_waits();
        EXPECT_EQ(weft_stream_shutdown(theirs, SHUT_RDWR), 0);
        strands_join(reader);
        strands_join(writer);
        part();
    }
}

/* ---- pipes and other descriptors */

static void read_word(size_t index)
{
    char data[6] = "";
    (void)index;
    about_to_wait();
    EXPECT_EQ(weft_stream_read_exactly(theirs, data, 5, WEFT_FOREVER), 5);
    EXPECT_STR(data, "hello");
    EXPECT_EQ(weft_stream_read(theirs, data, 5, WEFT_FOREVER), 0);
}

TEST(a_pipe_is_a_stream_and_shutting_it_down_ends_it)
{
    pipe_pair();
    EXPECT_EQ(fcntl(weft_stream_fd(ours), F_GETFD), FD_CLOEXEC);
    struct strands *strand = strands_start(1, read_word);
    until_it_waits();
    send_ours("hello");
    EXPECT_EQ(weft_stream_shutdown(ours, SHUT_WR), 0);
    strands_join(strand);
    part();
}

static bool sigpipe_is_pending(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGPIPE);
}

static void write_to_nobody(size_t index)
{
    sigset_t pipe_signal, before;
    (void)index;
    EXPECT_EQ(weft_stream_write(ours, "x", 1, WEFT_FOREVER), -EPIPE);
    /* Whoever has the signal blocked does not find it pending either, unless it was before. */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    EXPECT_EQ(weft_stream_write(ours, "x", 1, WEFT_FOREVER), -EPIPE);
    EXPECT_FALSE(sigpipe_is_pending());
    pthread_kill(pthread_self(), SIGPIPE);
    EXPECT_EQ(weft_stream_write(ours, "x", 1, WEFT_FOREVER), -EPIPE);
    EXPECT_TRUE(sigpipe_is_pending());
    EXPECT_EQ(sigwaitinfo(&pipe_signal, NULL), SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

TEST(a_pipe_that_nobody_reads_fails_without_a_signal)
{
    pipe_pair();
    weft_stream_close(theirs);
    theirs = NULL;
    in_strand(write_to_nobody);
    part();
}

static void fill_pipe(size_t index)
{
    static char data[LONG_BYTES];
    (void)index;
    EXPECT_EQ(weft_stream_write(ours, data, sizeof data, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_GT(weft_stream_written(ours), 0);
    about_to_wait();
    EXPECT_EQ(weft_stream_write(ours, data, sizeof data, WEFT_FOREVER), (ssize_t)sizeof data);
}

TEST(a_full_pipe_makes_the_writer_wait)
{
    static char data[5000];
    pipe_pair();
    struct strands *strand = strands_start(1, fill_pipe);
    until_it_waits();
    uint64_t all = weft_stream_written(ours) + LONG_BYTES;
    for (uint64_t done = 0; done < all;) {
        ssize_t n = weft_stream_read(theirs, data, sizeof data, WEFT_FOREVER);
        EXPECT_GT(n, 0);
        done += (uint64_t)n;
    }
    strands_join(strand);
    part();
}

TEST(what_cannot_be_a_stream_is_refused_and_left_alone)
{
    weft_stream *stream = NULL;
    int file = open("/proc/self/exe", O_RDONLY);
    int datagram = socket(AF_INET, SOCK_DGRAM, 0);
    listen_at("127.0.0.1:0", 0);
    EXPECT_EQ(weft_stream_adopt(&stream, file), -EINVAL);
    EXPECT_EQ(weft_stream_adopt(&stream, datagram), -EINVAL);
    EXPECT_EQ(weft_stream_adopt(&stream, weft_listener_fd(listener)), -EINVAL);
    EXPECT_FALSE(fcntl(datagram, F_GETFL) & O_NONBLOCK);
    close(file);
    close(datagram);
    EXPECT_EQ(weft_stream_adopt(&stream, datagram), -EBADF);
    EXPECT_EQ(weft_stream_adopt(&stream, -1), -EBADF);
    EXPECT_TRUE(stream == NULL);
    weft_listener_close(listener);
    weft_stream_close(NULL);
}

/* ---- addresses */

TEST(each_end_knows_both_addresses)
{
    char here[WEFT_ADDRESS_BYTES], there[WEFT_ADDRESS_BYTES];
    const char *at[] = { "127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 2; i++) {
        pair_at(at[i]);
        EXPECT_EQ(weft_stream_address(ours, here, sizeof here), 0);
        EXPECT_EQ(weft_stream_peer(theirs, there, sizeof there), 0);
        EXPECT_STR(here, there);
        EXPECT_EQ(weft_stream_address(theirs, here, sizeof here), 0);
        EXPECT_EQ(weft_stream_peer(ours, there, sizeof there), 0);
        EXPECT_STR(here, there);
        EXPECT_STR(here, address);
        EXPECT_EQ(weft_stream_peer(ours, there, 5), -ENOSPC);
        part();
    }
    pipe_pair();
    EXPECT_EQ(weft_stream_peer(ours, there, sizeof there), -ENOTSOCK);
    part();
}
