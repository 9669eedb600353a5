/* SPDX-License-Identifier: MIT */
/*
 * io/child_run.c: a program from start to end in one call: its input, its output, a limit, a
 * deadline.
 *
 * A pipe holds 64 KiB, so whoever only writes and then only reads can wait for a program that waits
 * for him. All pipes are served as they become ready, together with the pidfd. One strand waits for
 * them, of whatever kind: they are in an epoll set, whose own descriptor is readable when there is
 * something to do.
 *
 * Every pipe is open until its end has been seen; the program's input also until nobody reads it,
 * which is no error: a program need not read all that it is given.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <weft/fd.h>
#include <weft/self.h>

#include "io/child.h"
#include "io/late.h"
#include "io/op.h"

#define OUTPUT_BYTES_MAX ((size_t)16 << 20)

enum { IN, OUT, ERR, END }; /* what is waited for; the first three are numbers of descriptors */

enum { ROOM_BYTES = 4096 }; /* that an output begins with */

struct run {
    struct spawn *spawn; /* ours are the pipes; -1: closed */
    weft_child *child;
    int epoll;
    bool ended;
    const char *input; /* what is left of it */
    size_t input_bytes;
    weft_bytes *output; /* two; NULL: not wanted */
    size_t room[2];     /* allocated, without the NUL */
    size_t output_bytes_max;
};

static int watch(const struct run *run, int fd, uint32_t what)
{
    struct epoll_event event = { .events = what == IN ? EPOLLOUT : EPOLLIN, .data.u32 = what };
    return epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Taken out first: a copy of it in a process that is being forked would keep it in the set. */
static void hang_up(struct run *run, int what)
{
    (void)epoll_ctl(run->epoll, EPOLL_CTL_DEL, run->spawn->ours[what], NULL);
    spawn_close_fd(&run->spawn->ours[what]);
}

/* Reads or writes without waiting: a count, or an error; -ETIMEDOUT: not possible now. */
static ssize_t move(const struct run *run, int what, void *data, size_t size)
{
    struct io_op op = { .code = what == IN ? IO_WRITE : IO_READ,
                        .fd = run->spawn->ours[what],
                        .data = data,
                        .size = size,
                        .offset = IO_STREAM };
    return io_run(&op, WEFT_NOW);
}

static int feed(struct run *run)
{
    ssize_t n = run->input_bytes ? move(run, IN, (void *)run->input, run->input_bytes) : 0;
    if (n == -ETIMEDOUT)
        return 0;
    if (n < 0 && n != -EPIPE)
        return (int)n;
    if (n > 0) {
        run->input += n;
        run->input_bytes -= (size_t)n;
    }
    if (n < 0 || run->input_bytes == 0)
        hang_up(run, IN);
    return 0;
}

/* Makes room for more output, and a NUL. */
static int grow(struct run *run, int which)
{
    assert(run->output); /* or there would be no pipe for it: pipes_make_sense() */
    size_t room = run->room[which] ? 2 * run->room[which] : ROOM_BYTES;
    room = room < run->output_bytes_max ? room : run->output_bytes_max;
    char *data = realloc(run->output[which].data, room + 1);
    if (!data)
        return -ENOMEM;
    data[run->output[which].size] = '\0';
    run->output[which].data = data;
    run->room[which] = room;
    return 0;
}

/* Takes what there is of an output, some of it at a time. */
static int drain(struct run *run, int what)
{
    char one_too_many;
    weft_bytes *output = &run->output[what - OUT];
    size_t *room = &run->room[what - OUT];
    if (output->size == *room && *room < run->output_bytes_max) {
        int rc = grow(run, what - OUT);
        if (rc < 0)
            return rc;
    }
    size_t left = *room - output->size;
    ssize_t n = left ? move(run, what, (char *)output->data + output->size, left)
                     : move(run, what, &one_too_many, 1);
    if (n == -ETIMEDOUT)
        return 0;
    if (n < 0)
        return (int)n;
    if (n == 0) {
        hang_up(run, what);
        return 0;
    }
    if (!left)
        return -EOVERFLOW;
    output->size += (size_t)n;
    ((char *)output->data)[output->size] = '\0';
    return 0;
}

static int serve(struct run *run, uint32_t what)
{
    if (what == END) {
        run->ended = true;
        return epoll_ctl(run->epoll, EPOLL_CTL_DEL, child_pidfd(run->child), NULL) < 0 ? -errno : 0;
    }
    return what == IN ? feed(run) : drain(run, (int)what);
}

/* Until it has ended and so have its outputs. */
static int serve_all(struct run *run, weft_deadline deadline)
{
    struct epoll_event events[4];
    const int *pipes = run->spawn->ours;
    while (!run->ended || pipes[OUT] >= 0 || pipes[ERR] >= 0) {
        int rc = weft_fd_wait(run->epoll, POLLIN, deadline);
        if (rc < 0)
            return rc;
        /* One that always has something to say would be ended by nothing else. */
        rc = look_for_end(deadline);
        if (rc < 0)
            return rc;
        int n = epoll_wait(run->epoll, events, 4, 0);
        for (int i = 0; i < n; i++) {
            rc = serve(run, events[i].data.u32);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

/* What is needed before the program can run: a descriptor to wait with, room for its output. */
static int prepare(struct run *run)
{
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (run->epoll < 0)
        return -errno;
    for (int what = IN; what <= ERR; what++) {
        int rc = 0;
        if (run->spawn->ours[what] >= 0) {
            rc = what == IN ? 0 : grow(run, what - OUT);
            if (rc == 0)
                rc = watch(run, run->spawn->ours[what], (uint32_t)what);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int run_to_end(struct run *run, weft_deadline deadline)
{
    int rc = watch(run, child_pidfd(run->child), END);
    if (rc == 0)
        rc = serve_all(run, deadline);
    for (int what = IN; what <= ERR; what++)
        if (run->spawn->ours[what] >= 0)
            hang_up(run, what);
    child_end(run->child); /* waits for nothing if it has ended */
    return rc;
}

static int run_spawned(struct run *run, weft_outcome *outcome, weft_deadline deadline)
{
    int rc = prepare(run);
    if (rc == 0)
        rc = child_start(&run->child, run->spawn);
    if (rc == 0) {
        rc = run_to_end(run, deadline);
        int ended = weft_child_wait(run->child, outcome, WEFT_FOREVER);
        rc = rc < 0 ? rc : ended;
        weft_child_close(run->child);
    }
    if (run->epoll >= 0)
        close(run->epoll);
    return rc;
}

static bool pipes_make_sense(const weft_child_options *options, const weft_bytes *ret_output)
{
    bool pipe = options->out == WEFT_CHILD_PIPE || options->err == WEFT_CHILD_PIPE;
    return (!options->input || options->in == WEFT_CHILD_DEFAULT) &&
           options->in != WEFT_CHILD_PIPE && (ret_output || !pipe);
}

static int run_with(const char *const argv[], const weft_child_options *options,
                    weft_bytes *ret_output, weft_outcome *outcome, weft_deadline deadline)
{
    const int out = ret_output ? WEFT_CHILD_PIPE : WEFT_CHILD_INHERIT;
    const int defaults[3] = { options->input ? WEFT_CHILD_PIPE : WEFT_CHILD_NULL, out, out };
    struct spawn spawn;
    struct run run = { .spawn = &spawn,
                       .epoll = -1,
                       .input = options->input,
                       .input_bytes = options->input_bytes,
                       .output = ret_output,
                       .output_bytes_max = options->output_bytes_max };
    if (!pipes_make_sense(options, ret_output))
        return -EINVAL;
    if (!run.output_bytes_max)
        run.output_bytes_max = OUTPUT_BYTES_MAX;
    int rc = look_for_end(deadline);
    if (rc < 0)
        return rc;
    rc = spawn_open(&spawn, argv, options, defaults);
    if (rc < 0)
        return rc;
    rc = run_spawned(&run, outcome, deadline);
    spawn_close(&spawn);
    return rc;
}

/* How it is to be called that the run came to rc, where what became of the program says less. */
static void note_result(weft_outcome *outcome, int rc)
{
    bool ran = outcome->started_ns;
    if (ran && rc != -ETIMEDOUT && rc != -ECANCELED)
        return;
    outcome->how = rc == -ETIMEDOUT   ? WEFT_OVERDUE
                   : rc == -ECANCELED ? WEFT_CANCELLED
                                      : WEFT_FAILED;
    outcome->status = rc;
    if (!ran)
        strncpy(outcome->text, weft_strerror(rc), sizeof outcome->text - 1);
}

int weft_child_run(const char *const argv[], const weft_child_options *options,
                   weft_bytes *ret_output, weft_outcome *ret_outcome, weft_deadline deadline)
{
    static const weft_child_options no_options;
    weft_outcome outcome = { .how = WEFT_PENDING };
    if (ret_output)
        memset(ret_output, 0, 2 * sizeof *ret_output);
    int rc = run_with(argv, options ? options : &no_options, ret_output, &outcome, deadline);
    note_result(&outcome, rc);
    if (!outcome.started_ns && ret_output)
        weft_bytes_free(ret_output, 2);
    if (ret_outcome)
        *ret_outcome = outcome;
    return rc;
}
