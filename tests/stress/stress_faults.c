/* SPDX-License-Identifier: MIT */
/*
 * Streams between tasks while the kernel misbehaves as often as it can: system calls are
 * interrupted, not ready after all, move less than they could, or have no memory; the ring is full;
 * descriptors cannot be watched; waits end for no reason. What is read must be what was written,
 * byte for byte, and an error must mean that nothing happened.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include <weft/group.h>
#include <weft/self.h>
#include <weft/stream.h>

#include "io/fault.h"
#include "stress.h"
#include "workers.h"

enum { PAIRS = 8, BYTES = HARNESS_SANITIZED || HARNESS_EMULATED ? 100000 : 2000000 };

static uint64_t seed;
static atomic_uint reactors, errors; /* how many have been opened; injected errors */
static atomic_ulong injected[FAULT_WAIT + 1];

/* Of the reactor's thread: workers are many. */
static struct dice *own_dice(void)
{
    static _Thread_local struct dice dice;
    if (!dice.state)
        dice = dice_of(seed, 1000 + atomic_fetch_add(&reactors, 1));
    return &dice;
}

static bool moves_bytes(const struct io_op *op)
{
    return op->code == IO_RECV || op->code == IO_SEND || op->code == IO_READ ||
           op->code == IO_WRITE;
}

static int misbehave_in_op(struct dice *dice, const struct io_op *op)
{
    switch (dice_below(dice, 8)) {
    case 0:
    case 1:
        return -EINTR;
    case 2:
        return op->identity ? -EINTR : -EAGAIN;
    case 3:
        if (dice_below(dice, 8))
            return 0;
        atomic_fetch_add(&errors, 1);
        return -ENOMEM;
    case 4:
    case 5:
        return moves_bytes(op) ? 1 + (int)dice_below(dice, 3000) : 0;
    default:
        return 0;
    }
}

static int misbehave(enum io_fault_point point, struct io_op *op)
{
    static const int of_wait[] = { -EINTR, -EAGAIN, -EBUSY, -ENOMEM };
    struct dice *dice = own_dice();
    int rc = 0;
    if (point == FAULT_OP)
        rc = misbehave_in_op(dice, op);
    else if (point == FAULT_RING)
        rc = dice_below(dice, 3) == 0;
    else if (point == FAULT_WATCH && dice_below(dice, 8) == 0)
        rc = dice_below(dice, 2) ? -ENOMEM : -ENOSPC;
    else if (point == FAULT_WAIT && dice_below(dice, 4) == 0)
        rc = of_wait[dice_below(dice, 4)];
    atomic_fetch_add(&injected[point], rc != 0);
    return rc;
}

/* Byte number i of what goes through pair n. */
static char expected(size_t n, size_t i)
{
    return (char)(i * 7 + i / 251 + n * 31);
}

static void expect_injected(ssize_t rc)
{
    EXPECT_TRUE(rc == -ENOMEM || rc == -ENOSPC || rc == -ETIMEDOUT);
}

static weft_stream *ends[PAIRS][2];

/* In one piece, or cut in two. */
static ssize_t write_somehow(weft_stream *stream, struct dice *dice, char *data, size_t size)
{
    weft_deadline deadline = dice_below(dice, 4) ? WEFT_FOREVER : dice_deadline(dice);
    size_t first = dice_below(dice, size + 1);
    struct iovec parts[2] = { { data, first }, { data + first, size - first } };
    if (dice_below(dice, 2))
        return weft_stream_write(stream, data, size, deadline);
    return weft_stream_writev(stream, parts, 2, deadline);
}

static int write_all(weft_call *call)
{
    size_t n = *(const size_t *)call->arg;
    struct dice dice = dice_of(seed, n);
    weft_stream *stream = ends[n][0];
    char data[4096];
    for (size_t at = 0; at < BYTES;) {
        size_t size = 1 + dice_below(&dice, sizeof data);
        size = size < BYTES - at ? size : BYTES - at;
        for (size_t i = 0; i < size; i++)
            data[i] = expected(n, at + i);
        ssize_t rc = write_somehow(stream, &dice, data, size);
        if (rc < 0)
            expect_injected(rc);
        else
            EXPECT_EQ(rc, (ssize_t)size);
        at = weft_stream_written(stream); /* what got through before an error is not sent again */
    }
    EXPECT_EQ(weft_stream_shutdown(stream, SHUT_WR), 0);
    return 0;
}

static int read_all(weft_call *call)
{
    size_t n = *(const size_t *)call->arg, at = 0;
    struct dice dice = dice_of(seed, 100 + n);
    char data[5000];
    for (;;) {
        ssize_t rc = weft_stream_read(ends[n][1], data, 1 + dice_below(&dice, sizeof data),
                                      dice_below(&dice, 4) ? WEFT_FOREVER : dice_deadline(&dice));
        if (rc == 0)
            break;
        if (rc < 0) {
            expect_injected(rc);
            continue;
        }
        for (ssize_t i = 0; i < rc; i++)
            EXPECT_EQ(data[i], expected(n, at + (size_t)i));
        at += (size_t)rc;
    }
    EXPECT_EQ(at, BYTES);
    return 0;
}

static void open_pair(size_t n)
{
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(weft_stream_adopt(&ends[n][i], fds[i]), 0);
}

static void exchange(void)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    for (size_t n = 0; n < PAIRS; n++) {
        open_pair(n);
        EXPECT_EQ(weft_group_start(g, write_all, &n, sizeof n), 0);
        EXPECT_EQ(weft_group_start(g, read_all, &n, sizeof n), 0);
    }
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
    for (size_t n = 0; n < PAIRS; n++)
        for (int i = 0; i < 2; i++)
            weft_stream_close(ends[n][i]);
}

TEST(streams_carry_what_was_written_while_the_kernel_misbehaves)
{
    seed = stress_seed();
    io_fault = misbehave;
    workers_make_all();
    DESCRIPTORS_COUNT_FROM_HERE();
    do
        exchange();
    while (!atomic_load(&injected[FAULT_OP]) || !atomic_load(&injected[FAULT_WAIT]) ||
           !atomic_load(&errors)); /* until each kind of misbehaviour was met */
}
