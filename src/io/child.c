/* SPDX-License-Identifier: MIT */
/*
 * io/child.c: another program as a child of this one, from its start until it is reaped.
 *
 * It is known by a pidfd, which means this process and no other, however often its number is used
 * again: waiting is waiting for that descriptor, by any kind of strand, and reaping names it.
 *
 *   RUNS --it ends--> ZOMBIE --reap()--> reaped: outcome is set, and stays
 *
 * Who reaps holds `lock`, and so does who signals a process group: its number is the child's, and
 * certain to be this group's only while the child has not been reaped. Therefore closing kills what
 * is left of a group after the child has ended and before it is reaped.
 *
 * Somebody else may have reaped it: a wait() for any child somewhere in the program, or a SIGCHLD
 * that is ignored since. Then the pidfd still says that it has ended, and nobody knows how.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/fd.h>
#include <weft/lock.h>
#include <weft/scope.h>

#include "io/child.h"
#include "park/trace.h"
#include "sync/lock.h"

#define GRACE_NS (2 * WEFT_S)

struct weft_child {
    pid_t pid, parent; /* constant, as are pidfd, own_group, grace_ns */
    int pidfd;
    bool own_group;
    int64_t grace_ns;
    weft_stream *streams[3]; /* the user's business, like every stream */
    weft_lock lock;          /* guards what follows */
    bool reaped;
    weft_outcome outcome; /* constant once reaped */
};

/* ---- the end */

static void note_exit(weft_outcome *outcome, int code)
{
    outcome->how = code ? WEFT_FAILED : WEFT_DONE;
    outcome->status = code ? -ECHILD : 0;
    outcome->exit_code = code;
    if (code)
        snprintf(outcome->text, sizeof outcome->text, "exited with %d", code);
}

static void note_signal(weft_outcome *outcome, int signo, bool core)
{
    outcome->how = WEFT_CRASHED;
    outcome->status = -ECHILD;
    outcome->signal = signo;
    snprintf(outcome->text, sizeof outcome->text, "ended by signal %d%s", signo,
             core ? ", core dumped" : "");
}

static void note_unknown(weft_outcome *outcome)
{
    outcome->how = WEFT_CRASHED;
    outcome->status = -ECHILD;
    outcome->exit_code = -1;
    strcpy(outcome->text, "ended; somebody else has waited for it, so nobody knows how");
}

static void note_end(weft_child *child, const siginfo_t *end)
{
    child->reaped = true;
    child->outcome.ended_ns = weft_now();
    if (!end)
        note_unknown(&child->outcome);
    else if (end->si_code == CLD_EXITED)
        note_exit(&child->outcome, end->si_status);
    else
        note_signal(&child->outcome, end->si_status, end->si_code == CLD_DUMPED);
}

/* Reaps it if it has ended. Under the lock. */
static bool reap(weft_child *child)
{
    const idtype_t by_pidfd = (idtype_t)3; /* P_PIDFD, which older headers lack */
    siginfo_t end = { .si_pid = 0 };
    if (child->reaped)
        return true;
    int rc = waitid(by_pidfd, (id_t)child->pidfd, &end, WEXITED | WNOHANG);
    if (rc < 0)
        note_end(child, NULL);
    else if (end.si_pid)
        note_end(child, &end);
    return child->reaped;
}

static bool is_reaped(weft_child *child)
{
    lock_inner(&child->lock);
    bool reaped = reap(child);
    weft_lock_release(&child->lock);
    return reaped;
}

/* Waits for its end, as weft_fd_wait() does. */
static int wait_end(const weft_child *child, weft_deadline deadline)
{
    const void *pid = (const void *)(intptr_t)child->pid;
    struct trace_span span;
    trace_begin_wait(&span, PARK_FOR_CHILD, pid);
    int rc = weft_fd_wait(child->pidfd, POLLIN, deadline);
    trace_end_wait(&span, PARK_FOR_CHILD, pid, rc);
    return rc;
}

int weft_child_wait(weft_child *child, weft_outcome *ret_outcome, weft_deadline deadline)
{
    while (!is_reaped(child)) {
        int rc = wait_end(child, deadline);
        if (rc < 0)
            return rc;
    }
    if (ret_outcome)
        *ret_outcome = child->outcome;
    return child->outcome.how == WEFT_DONE ? 0 : -ECHILD;
}

/* Under the lock, before it is reaped. */
static int send_signal(const weft_child *child, int signo)
{
    int rc = child->own_group ? kill(-child->pid, signo)
                              : (int)syscall(SYS_pidfd_send_signal, child->pidfd, signo, NULL, 0);
    return rc < 0 ? -errno : 0;
}

int weft_child_kill(weft_child *child, int signo)
{
    lock_inner(&child->lock);
    bool gone = child->own_group ? child->reaped : reap(child);
    int rc = gone ? -ESRCH : send_signal(child, signo);
    weft_lock_release(&child->lock);
    return rc;
}

/* Whether it has ended, as a zombie or reaped. */
static bool await_end(weft_child *child, weft_deadline deadline)
{
    return child->reaped || wait_end(child, deadline) > 0;
}

static void end_shielded(weft_child *child)
{
    int64_t grace_ns = child->grace_ns ? child->grace_ns : GRACE_NS;
    if (grace_ns > 0 && !await_end(child, WEFT_NOW)) {
        (void)send_signal(child, SIGTERM);
        (void)await_end(child, weft_after(grace_ns));
    }
    if (!child->reaped && (child->own_group || !await_end(child, WEFT_NOW)))
        (void)send_signal(child, SIGKILL);
    while (!is_reaped(child))
        if (!await_end(child, WEFT_FOREVER)) /* cannot wait that way: it is being killed anyway */
            (void)waitid(P_PID, (id_t)child->pid, &(siginfo_t){ .si_pid = 0 }, WEXITED | WNOWAIT);
}

void child_end(weft_child *child)
{
    weft_scope shield;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    end_shielded(child);
    weft_scope_leave(&shield);
}

void weft_child_close(weft_child *child)
{
    if (!child)
        return;
    for (int i = 0; i < 3; i++)
        weft_child_close_stream(child, i);
    if (child->parent == getpid())
        child_end(child);
    close(child->pidfd);
    free(child);
}

/* ---- the start */

/* Whether the system forgets children that end. */
static bool forgets_children(void)
{
    struct sigaction action;
    return sigaction(SIGCHLD, NULL, &action) == 0 &&
           (action.sa_handler == SIG_IGN || (action.sa_flags & SA_NOCLDWAIT));
}

int child_start(weft_child **ret_child, struct spawn *spawn)
{
    if (forgets_children())
        return -ENOTSUP;
    weft_child *child = calloc(1, sizeof *child);
    if (!child)
        return -ENOMEM;
    int rc = spawn_start(spawn);
    if (rc < 0)
        goto not_started;
    child->pidfd = (int)syscall(SYS_pidfd_open, spawn->pid, 0); /* is close-on-exec */
    if (child->pidfd < 0) {
        rc = -errno;
        kill(spawn->pid, SIGKILL);
        while (waitpid(spawn->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        goto not_started;
    }
    child->pid = spawn->pid;
    child->parent = getpid();
    child->own_group = spawn->options->own_group;
    child->grace_ns = spawn->options->grace_ns;
    child->outcome.attempts = 1;
    child->outcome.started_ns = weft_now();
    *ret_child = child;
    return 0;

not_started:
    free(child);
    return rc;
}

static void close_streams(weft_stream *streams[3])
{
    for (int i = 0; i < 3; i++) {
        weft_stream_close(streams[i]);
        streams[i] = NULL;
    }
}

/* Makes streams of our ends, before anything runs that would have to be ended again. */
static int adopt(struct spawn *spawn, weft_stream *streams[3])
{
    for (int i = 0; i < 3; i++) {
        if (spawn->ours[i] < 0)
            continue;
        int rc = weft_stream_adopt(&streams[i], spawn->ours[i]);
        if (rc < 0) {
            close_streams(streams);
            return rc;
        }
        spawn->ours[i] = -1;
    }
    return 0;
}

int weft_child_open(weft_child **ret_child, const char *const argv[],
                    const weft_child_options *options)
{
    static const int defaults[3] = { WEFT_CHILD_INHERIT, WEFT_CHILD_INHERIT, WEFT_CHILD_INHERIT };
    static const weft_child_options no_options;
    struct spawn spawn;
    weft_stream *streams[3] = { NULL };
    options = options ? options : &no_options;
    if (options->input)
        return -EINVAL;
    int rc = spawn_open(&spawn, argv, options, defaults);
    if (rc < 0)
        return rc;
    rc = adopt(&spawn, streams);
    if (rc == 0)
        rc = child_start(ret_child, &spawn);
    if (rc == 0)
        memcpy((*ret_child)->streams, streams, sizeof streams);
    else
        close_streams(streams);
    spawn_close(&spawn);
    return rc;
}

/* ---- while it runs */

weft_stream *weft_child_stream(weft_child *child, int fd)
{
    return fd < 0 || fd > 2 ? NULL : child->streams[fd];
}

void weft_child_close_stream(weft_child *child, int fd)
{
    if (fd < 0 || fd > 2)
        return;
    weft_stream_close(child->streams[fd]);
    child->streams[fd] = NULL;
}

pid_t weft_child_pid(const weft_child *child)
{
    return child->pid;
}

int child_pidfd(const weft_child *child)
{
    return child->pidfd;
}
