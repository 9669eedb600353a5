/* SPDX-License-Identifier: MIT */
/* One run of a command, as a child with two pipes.
 *
 * Its output is read even if nobody wants it: there are programs that see that they write to
 * /dev/null and then do less (grep stops at the first match, tar reads no files). It is followed
 * until it has ended, not until its pipes have: what it leaves running in the background may hold
 * them open, and is no part of it. So the strand waits for three descriptors by one, an epoll: both
 * pipes and the process. */
#include "command_child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { END = 0, OUT = 1, ERR = 2, PIECE_BYTES = 65536, NAME_BYTES = 32 };

struct command_child {
    int epoll;
    int pidfd;
    int files[3]; /* where OUT and ERR are saved; less than 0: nowhere, or not yet */
    weft_child *child;
    int directory_fd;
    uint64_t name;
    struct command_end *end;
    size_t tail_used;
    char piece[PIECE_BYTES];
};

int command_child_open(struct command_child **ret_child)
{
    struct command_child *child = calloc(1, sizeof *child);

    if (child == NULL)
        return -ENOMEM;
    child->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (child->epoll < 0) {
        int rc = -errno;
        free(child);
        return rc;
    }
    *ret_child = child;
    return 0;
}

void command_child_close(struct command_child *child)
{
    if (child == NULL)
        return;
    close(child->epoll);
    free(child);
}

static int watch(struct command_child *child, int fd, uint32_t what)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = what };

    return epoll_ctl(child->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Before its descriptor is closed: a child that is being started at this moment may still have a
 * duplicate, for which the epoll would go on to report. */
static void hang_up(struct command_child *child, int what)
{
    weft_stream *stream = weft_child_stream(child->child, what);

    if (stream == NULL)
        return;
    (void)epoll_ctl(child->epoll, EPOLL_CTL_DEL, weft_stream_fd(stream), NULL);
    weft_child_close_stream(child->child, what);
}

/* ---- what it writes */

static void keep_tail(struct command_child *child, const char *piece, size_t size)
{
    char *tail = child->end->tail;

    if (size > COMMAND_TAIL_BYTES) {
        piece += size - COMMAND_TAIL_BYTES;
        size = COMMAND_TAIL_BYTES;
    }
    if (child->tail_used + size > COMMAND_TAIL_BYTES) {
        size_t gone = child->tail_used + size - COMMAND_TAIL_BYTES;
        memmove(tail, tail + gone, child->tail_used - gone);
        child->tail_used -= gone;
    }
    memcpy(tail + child->tail_used, piece, size);
    child->tail_used += size;
    tail[child->tail_used] = '\0';
}

static int open_file(struct command_child *child, int what)
{
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "%" PRIu64 ".%s", child->name, what == OUT ? "out" : "err");
    child->files[what] =
        openat(child->directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return child->files[what] < 0 ? -errno : 0;
}

static int save(struct command_child *child, int what, const char *piece, size_t size)
{
    while (child->files[what] >= 0 && size > 0) {
        ssize_t n = write(child->files[what], piece, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            piece += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* Reads a piece of an output. Returns how much; 0: there is nothing now; -errno. */
static ssize_t read_piece(struct command_child *child, int what)
{
    weft_stream *stream = weft_child_stream(child->child, what);

    if (stream == NULL)
        return 0;
    ssize_t n = weft_stream_read(stream, child->piece, sizeof child->piece, WEFT_NOW);
    if (n == -ETIMEDOUT)
        return 0;
    if (n == 0)
        hang_up(child, what);
    if (n <= 0)
        return n;
    if (what == ERR)
        keep_tail(child, child->piece, (size_t)n);
    int rc = save(child, what, child->piece, (size_t)n);
    return rc < 0 ? rc : n;
}

/* ---- from its start to its end */

/* Returns 1 when it has ended, 0, or -errno. */
static int serve(struct command_child *child)
{
    struct epoll_event events[3];
    int rc = weft_fd_wait(child->epoll, POLLIN, WEFT_FOREVER);

    if (rc < 0)
        return rc;
    if (weft_cancelled()) /* one that always has something to say would be ended by nothing else */
        return -ECANCELED;
    bool ended = false;
    int n = epoll_wait(child->epoll, events, 3, 0);
    for (int i = 0; i < n; i++) {
        ssize_t taken = 0;
        if (events[i].data.u32 == END)
            ended = true;
        else
            taken = read_piece(child, (int)events[i].data.u32);
        if (taken < 0)
            return (int)taken;
    }
    return ended;
}

static int watch_all(struct command_child *child)
{
    int rc = watch(child, child->pidfd, END);

    for (int what = OUT; rc == 0 && what <= ERR; what++)
        rc = watch(child, weft_stream_fd(weft_child_stream(child->child, what)), (uint32_t)what);
    return rc;
}

/* What it had written when it ended; not more, if somebody it left behind writes on and on. */
static int drain(struct command_child *child)
{
    for (int what = OUT; what <= ERR; what++) {
        size_t left = 16 * sizeof child->piece; /* the most that an unprivileged pipe holds */
        ssize_t n;
        while (left > 0 && (n = read_piece(child, what)) != 0) {
            if (n < 0)
                return (int)n;
            left -= (size_t)n < left ? (size_t)n : left;
        }
    }
    return 0;
}

/* What the kernel knows of a process until it is waited for: "ON_CPU_NS QUEUED_NS TIMES". */
static double queued_s(pid_t pid)
{
    char path[NAME_BYTES];
    unsigned long long ns = 0;

    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "re");
    bool read = file != NULL && fscanf(file, "%*u %llu", &ns) == 1;
    if (file != NULL)
        (void)fclose(file);
    return read ? (double)ns / 1e9 : NAN;
}

static int follow(struct command_child *child)
{
    int rc = watch_all(child);

    while (rc == 0)
        rc = serve(child);
    if (rc < 0)
        return rc;
    child->end->ended_ns = weft_now();
    child->end->queued_s = queued_s(weft_child_pid(child->child));
    rc = weft_child_wait(child->child, &child->end->outcome, WEFT_FOREVER);
    if (rc < 0 && rc != -ECHILD)
        return rc;
    return drain(child);
}

static int start(struct command_child *child, char *const *words)
{
    const weft_child_options options = {
        .in = WEFT_CHILD_NULL, .out = WEFT_CHILD_PIPE, .err = WEFT_CHILD_PIPE, .own_group = true
    };

    child->end->started_ns = weft_now();
    child->end->start_error = weft_child_open(&child->child, (const char *const *)words, &options);
    return child->end->start_error;
}

static int run_started(struct command_child *child)
{
    child->pidfd = (int)syscall(SYS_pidfd_open, weft_child_pid(child->child), 0);
    int rc = child->pidfd < 0 ? -errno : follow(child);

    for (int what = OUT; what <= ERR; what++)
        hang_up(child, what);
    if (child->pidfd >= 0) {
        (void)epoll_ctl(child->epoll, EPOLL_CTL_DEL, child->pidfd, NULL);
        close(child->pidfd);
    }
    weft_child_close(child->child); /* ends it, if it has not ended */
    return rc;
}

static int open_files(struct command_child *child)
{
    int rc = 0;

    child->files[OUT] = child->files[ERR] = -1;
    for (int what = OUT; rc == 0 && child->directory_fd >= 0 && what <= ERR; what++)
        rc = open_file(child, what);
    return rc;
}

int command_child_run(struct command_child *child, char *const *words, int directory_fd,
                      uint64_t name, struct command_end *ret_end)
{
    *ret_end = (struct command_end){ 0 };
    child->end = ret_end;
    child->tail_used = 0;
    child->directory_fd = directory_fd;
    child->name = name;
    int rc = open_files(child);
    if (rc == 0 && start(child, words) == 0)
        rc = run_started(child);
    for (int what = OUT; what <= ERR; what++)
        if (child->files[what] >= 0)
            close(child->files[what]);
    return rc;
}
