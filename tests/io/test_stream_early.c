/* SPDX-License-Identifier: MIT */
/* Deadlines, scopes and cancellation in each call of a stream, and that nothing is lost by them. */
#include <poll.h>

#include <weft/fd.h>

#include "pair.h"

static char byte[1];
static char lots[1 << 20];

/* ---- calls that have to wait */

static ssize_t read_some(weft_deadline deadline)
{
    return weft_stream_read(theirs, byte, 1, deadline);
}

static ssize_t read_exactly(weft_deadline deadline)
{
    char data[10];
    return weft_stream_read_exactly(theirs, data, sizeof data, deadline);
}

static ssize_t read_large(weft_deadline deadline)
{
    return weft_stream_read_exactly(theirs, lots, sizeof lots, deadline);
}

static ssize_t read_until(weft_deadline deadline)
{
    char data[10];
    return weft_stream_read_until(theirs, data, sizeof data, '\n', deadline);
}

static ssize_t wait_readable(weft_deadline deadline)
{
    return weft_fd_wait(weft_stream_fd(theirs), POLLIN, deadline);
}

static ssize_t write_lots(weft_deadline deadline)
{
    return weft_stream_write(theirs, lots, sizeof lots, deadline);
}

static ssize_t write_lots_in_parts(weft_deadline deadline)
{
    enum { FIRST = 1001 };
    struct iovec parts[2] = { { lots, FIRST }, { lots + FIRST, sizeof lots - FIRST } };
    return weft_stream_writev(theirs, parts, 2, deadline);
}

static ssize_t (*const writers[])(weft_deadline deadline) = { write_lots, write_lots_in_parts };

static ssize_t dial(weft_deadline deadline)
{
    weft_stream *stream;
    return weft_stream_dial(&stream, address, deadline);
}

static ssize_t (*call)(weft_deadline deadline);

/* ---- deadlines and scopes */

static void be_late(size_t index)
{
    weft_scope scope;
    (void)index;
    EXPECT_EQ(call(WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(call(weft_after(-WEFT_S)), -ETIMEDOUT);
    EXPECT_EQ(call(weft_after(WEFT_MS)), -ETIMEDOUT);
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(call(WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    weft_scope_enter(&scope, weft_after(1000 * WEFT_S), 0);
    EXPECT_EQ(call(weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
}

/* ---- cancellation */

static void be_cancelled(size_t index)
{
    (void)index;
    about_to_wait();
    EXPECT_EQ(call(WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(call(WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(call(weft_after(1000 * WEFT_S)), -ECANCELED);
    weft_scope shield;
    weft_scope_enter(&shield, weft_after(WEFT_MS), WEFT_SHIELD);
    EXPECT_EQ(call(WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&shield), -ETIMEDOUT);
    EXPECT_TRUE(weft_uncancel());
    EXPECT_EQ(call(weft_after(WEFT_MS)), -ETIMEDOUT);
}

static void cancel_in(ssize_t (*fn)(weft_deadline deadline))
{
    call = fn;
    struct strands *strand = strands_start(1, be_cancelled);
    until_it_waits();
    strands_cancel_all(strand);
    strands_join(strand);
}

/* ---- the readers */

static void read_what_came(size_t index)
{
    char data[6] = "";
    (void)index;
    EXPECT_EQ(weft_stream_read_exactly(theirs, data, 5, WEFT_FOREVER), 5);
    EXPECT_STR(data, "hello");
}

static ssize_t (*const readers[])(weft_deadline deadline) = { read_some, wait_readable,
                                                              read_exactly, read_large,
                                                              read_until };

/* Part of what the call wants is there already, unless it would take that. */
static void send_part(ssize_t (*reader)(weft_deadline deadline))
{
    if (reader != read_some && reader != wait_readable)
        send_ours("he");
}

static void send_rest(ssize_t (*reader)(weft_deadline deadline))
{
    send_ours(reader == read_some || reader == wait_readable ? "hello" : "llo");
}

TEST(a_late_read_leaves_everything_there)
{
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        pair_at("127.0.0.1:0");
        send_part(readers[i]);
        call = readers[i];
        in_strand(be_late);
        send_rest(readers[i]);
        in_strand(read_what_came);
        part();
    }
}

TEST(a_cancelled_read_leaves_everything_there)
{
    strands_must_be_cancellable();
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        pair_at("127.0.0.1:0");
        send_part(readers[i]);
        cancel_in(readers[i]);
        send_rest(readers[i]);
        in_strand(read_what_came);
        part();
    }
}

/* ---- the writer: the peer gets as much as weft_stream_written() says */

static void expect_all_that_was_written(void)
{
    static char data[100000];
    uint64_t written = weft_stream_written(theirs), got = 0;
    ssize_t n;
    EXPECT_GT(written, 0);
    EXPECT_EQ(weft_stream_shutdown(theirs, SHUT_WR), 0);
    while ((n = weft_stream_read(ours, data, sizeof data, WEFT_FOREVER)) > 0)
        got += (uint64_t)n;
    EXPECT_EQ(n, 0);
    EXPECT_EQ(got, written);
}

TEST(a_late_write_says_how_much_it_wrote)
{
    const char *at[] = { "127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 4; i++) {
        pair_at(at[i % 2]);
        while (weft_stream_write(theirs, lots, sizeof lots, weft_after(WEFT_MS)) > 0) {
        }
        call = writers[i / 2];
        in_strand(be_late);
        expect_all_that_was_written();
        part();
    }
}

TEST(a_cancelled_write_says_how_much_it_wrote)
{
    strands_must_be_cancellable();
    for (size_t i = 0; i < 2; i++) {
        pair_at(unix_address());
        cancel_in(writers[i]);
        expect_all_that_was_written();
        part();
    }
}

/* ---- dialling a listener whose backlog is full */

enum { DIALS = 3 };
static weft_stream *waiting[DIALS];
static size_t waiting_count;

static void fill_backlog(const char *at)
{
    listen_at(at, 1);
    waiting_count = 0;
    int rc;
    while ((rc = weft_stream_dial(&waiting[waiting_count], address, weft_after(20 * WEFT_MS))) == 0)
        EXPECT_LT(++waiting_count, (size_t)DIALS);
    EXPECT_EQ(rc, -ETIMEDOUT);
}

static void empty_backlog(void)
{
    while (waiting_count)
        weft_stream_close(waiting[--waiting_count]);
    weft_listener_close(listener);
}

TEST(a_dial_that_nobody_answers_is_late)
{
    const char *at[] = { "127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 2; i++) {
        fill_backlog(at[i]);
        call = dial;
        in_strand(be_late);
        empty_backlog();
    }
}

TEST(a_dial_that_nobody_answers_is_cancelled)
{
    strands_must_be_cancellable();
    const char *at[] = { "127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 2; i++) {
        fill_backlog(at[i]);
        cancel_in(dial);
        empty_backlog();
    }
}

static void dial_at_last(size_t index)
{
    weft_stream *stream;
    (void)index;
    about_to_wait();
    EXPECT_EQ(weft_stream_dial(&stream, address, WEFT_FOREVER), 0);
    weft_stream_close(stream);
}

TEST(a_unix_dial_waits_for_room_in_the_backlog)
{
    weft_stream *stream;
    fill_backlog(unix_address());
    struct strands *strand = strands_start(1, dial_at_last);
    until_it_waits();
    for (size_t i = 0; i <= waiting_count; i++) {
        EXPECT_EQ(weft_listener_accept(listener, &stream, WEFT_FOREVER), 0);
        weft_stream_close(stream);
    }
    strands_join(strand);
    empty_backlog();
}

/* ---- calls that need not wait */

static void need_not_wait(void)
{
    char data[10] = "";
    EXPECT_EQ(weft_stream_read(theirs, data, 1, WEFT_FOREVER), 1);
    EXPECT_EQ(weft_stream_read(theirs, data, 1, WEFT_NOW), 1);
    EXPECT_EQ(weft_stream_read(theirs, data, 1, weft_after(-WEFT_S)), 1);
    EXPECT_EQ(weft_stream_read_exactly(theirs, data, 2, WEFT_FOREVER), 2);
    EXPECT_EQ(weft_stream_read_until(theirs, data, 10, '\n', WEFT_NOW), 4);
    EXPECT_STR(data, "lin\n");
    EXPECT_EQ(weft_stream_write(theirs, "x", 1, WEFT_FOREVER), 1);
    EXPECT_EQ(weft_stream_write(theirs, "x", 1, WEFT_NOW), 1);
}

static void need_not_wait_late(size_t index)
{
    weft_scope scope;
    (void)index;
    weft_scope_enter(&scope, weft_after(-WEFT_S), 0);
    need_not_wait();
    EXPECT_EQ(weft_scope_leave(&scope), 0);
}

static void need_not_wait_cancelled(size_t index)
{
    (void)index;
    UNTIL(weft_cancelled());
    need_not_wait();
}

TEST(what_need_not_wait_is_done_however_late)
{
    pair_at("127.0.0.1:0");
    send_ours("12345lin\n");
    in_strand(need_not_wait_late);
    part();
}

TEST(what_need_not_wait_is_done_though_cancelled)
{
    strands_must_be_cancellable();
    pair_at("127.0.0.1:0");
    send_ours("12345lin\n");
    struct strands *strand = strands_start(1, need_not_wait_cancelled);
    strands_cancel_all(strand);
    strands_join(strand);
    part();
}
