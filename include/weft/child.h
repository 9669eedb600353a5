/* SPDX-License-Identifier: MIT */
/*
 * weft/child.h: other programs, started, talked to through pipes, waited for; Python's subprocess.
 *
 *     const char *const sort[] = { "sort", "-n", NULL };
 *     weft_bytes output[2];
 *     weft_outcome outcome;
 *     rc = weft_child_run(sort, &(weft_child_options){ .input = "2\n1\n", .input_bytes = 4 },
 *                         output, &outcome, weft_after(5 * WEFT_S));
 *     if (rc == 0)
 *         fputs(output[0].data, stdout);
 *     else
 *         fprintf(stderr, "%s: %s\n%s", weft_strerror(rc), outcome.text, (char *)output[1].data);
 *     weft_bytes_free(output, 2);
 *
 * That is the whole of it for a program that is given something and answers. To talk with one while
 * it runs, open it:
 *
 *     weft_child *child;
 *     rc = weft_child_open(&child, bc, &(weft_child_options){ .in = WEFT_CHILD_PIPE,
 *                                                              .out = WEFT_CHILD_PIPE });
 *     weft_stream_write(weft_child_stream(child, 0), "1+1\n", 4, WEFT_FOREVER);
 *     n = weft_stream_read_until(weft_child_stream(child, 1), line, sizeof line, '\n', deadline);
 *     weft_child_close_stream(child, 0);                    the end of its input
 *     rc = weft_child_wait(child, &outcome, deadline);
 *     weft_child_close(child);
 *
 * A program that dies in the middle shows in both directions: what it wrote can be read, then comes
 * the end, which is 0 between two records and -ENODATA inside of one (weft_stream_read_exactly(),
 * weft_stream_read_until()); a write to it, also one that waits, is -EPIPE, without a signal.
 * weft_child_wait() says how it ended.
 *
 * The program begins with the signal mask empty and with the system's default for every signal but
 * SIGHUP, which it still ignores if the caller does (nohup). It has the descriptors 0, 1 and 2, and
 * those that the caller has opened without close-on-exec; weft opens none such. Starting is safe in
 * a program with threads: no code of the program runs in the child before the other program does.
 *
 * Children belong to the process that opened them. A SIGCHLD handler of the program's own does no
 * harm unless it waits for any child (wait(), waitpid(-1)): it may then take away how this one has
 * ended. A child of fork() may only close what it finds, which touches nothing but its own memory
 * and descriptors.
 */
#ifndef WEFT_CHILD_H
#define WEFT_CHILD_H

#include <weft/call.h>
#include <weft/stream.h>
#include <weft/time.h>

WEFT_BEGIN

typedef struct weft_child weft_child;

/* Where a standard stream of the program goes to or comes from. */
enum {
    WEFT_CHILD_DEFAULT = 0, /* weft_child_open: as the caller's own; weft_child_run: see there */
    WEFT_CHILD_INHERIT = 1, /* the caller's own */
    WEFT_CHILD_PIPE = 2,    /* a pipe to the caller */
    WEFT_CHILD_NULL = 3,    /* /dev/null */
    WEFT_CHILD_STDOUT = 4,  /* err only: where its standard output goes */
};
/* Or an open descriptor of the caller's: borrowed until the program has been started. */
#define WEFT_CHILD_FD(fd) (16 + (fd))

/* NULL, or a zeroed struct, means the defaults. All of it is borrowed during the call. */
typedef struct weft_child_options {
    int in, out, err;

    /* All of its environment, "NAME=value" each, the last followed by NULL; NULL: the caller's. */
    const char *const *environment;

    /* Its working directory; NULL: the caller's. */
    const char *directory;

    /* It leads a process group of its own: Ctrl-C at the terminal does not reach it, and signals
       that weft sends reach those that it has started as well, if they stay in the group. */
    bool own_group;

    /* How long it may run on after it was asked to end (SIGTERM) before it is killed; 0: 2 s;
       negative: it is killed at once. */
    int64_t grace_ns;

    /* weft_child_run: what it reads; its input ends after that. With in at its default only. */
    const void *input;
    size_t input_bytes;

    /* weft_child_run: the most that is taken of each output; 0: 16 MiB. */
    size_t output_bytes_max;

    /* Zero. */
    uint64_t reserved[6];
} weft_child_options;

/*
 * Starts a program.
 * Shape    argv: its name and arguments, the last followed by NULL. A name without a slash is
 *          looked for in the directories of the caller's PATH. One with a slash that does not begin
 *          with it is relative to options->directory.
 * Returns  0 and *ret_child, to be closed: it runs. -ENOENT: no such program (or directory), or
 *          its interpreter is missing; -EACCES: may not be executed; -ENOEXEC: is no program;
 *          -E2BIG; -ENOTDIR, -EBADF: of an option; -EMFILE, -ENFILE, -ENOMEM, -EAGAIN: no room for
 *          it (when the last descriptor is missing it has begun, and is killed); -ENOTSUP: the
 *          program ignores SIGCHLD, or has SA_NOCLDWAIT set for it, so that the system would not
 *          keep how the child ends; -EINVAL: no name, or an option that makes no sense.
 * Blocks   until the program is loaded. Nothing ends that.
 */
int weft_child_open(weft_child **ret_child, const char *const argv[],
                    const weft_child_options *options) WEFT_USE;

/*
 * The caller's end of a pipe to the program: fd 0 to write to, 1 or 2 to read from.
 * Returns  NULL: no pipe was asked for there, or it is closed. A write when nobody reads any more
 *          is -EPIPE, without a signal.
 * Owns     the child's: valid until weft_child_close_stream() or weft_child_close().
 */
weft_stream *weft_child_stream(weft_child *child, int fd);

/* Closes that end; of 0: the program's input ends. Nothing happens if there is none. */
void weft_child_close_stream(weft_child *child, int fd);

/* Its process id; while it has not been waited for, no other process has it. */
pid_t weft_child_pid(const weft_child *child);

/*
 * Waits until the program has ended, and reaps it. May be called again, and by several strands.
 * Its pipes may have something left to read then.
 * Returns  0: it exited with 0; -ECHILD: it ended otherwise, *ret_outcome says how; -ETIMEDOUT,
 *          -ECANCELED: it runs on.
 * Shape    ret_outcome: written with 0 and -ECHILD; NULL: not wanted. How: done; failed: exit_code
 *          says with what; crashed: signal says of what (and exit_code is -1 if somebody else has
 *          waited for it, so that nobody knows). ended_ns is when that was noticed.
 * Blocks   yes.
 */
int weft_child_wait(weft_child *child, weft_outcome *ret_outcome, weft_deadline deadline) WEFT_USE;

/*
 * Sends it a signal; with own_group to all of the group.
 * Returns  0; -ESRCH: it has ended; -EINVAL: no such signal; -EPERM: it runs as somebody else.
 */
int weft_child_kill(weft_child *child, int signo);

/*
 * Closes the pipes; if the program has not ended, asks it to (SIGTERM), and after grace_ns kills
 * it; with own_group those that it has started, too, unless it was waited for before. In every case
 * it is reaped: no zombie is left. Nobody is inside a call on it any more. NULL is allowed.
 * Blocks   until it has ended; ignores cancellation and scopes.
 */
void weft_child_close(weft_child *child);

/*
 * Starts a program, gives it its input, takes its output, and waits until that and the program have
 * ended; if anything else comes first, ends it as weft_child_close() does. (An output has ended
 * when everybody has closed it, also what the program has started and left behind.)
 * Shape    in at its default: options->input, or without it /dev/null. out and err at their
 *          defaults: pipes; if ret_output is NULL, the caller's own.
 * Returns  0: it exited with 0; -ECHILD: it ended otherwise, *ret_outcome says how; -ETIMEDOUT,
 *          -ECANCELED: it was ended, or not started, as that was so before; -EOVERFLOW: it was
 *          ended, as an output went beyond output_bytes_max; -ENOMEM; or what weft_child_open()
 *          says.
 *          ret_output, two of them, for 1 and 2, is set whatever is returned, to what has come
 *          until then, followed by a NUL; without a pipe, or if nothing ran: NULL and 0.
 *          *ret_outcome, which may be NULL, is set whatever is returned: overdue with -ETIMEDOUT,
 *          cancelled with -ECANCELED; failed if nothing ran for another reason. started_ns is 0 if
 *          nothing ran.
 * Owns     the output is the caller's, to be freed by weft_bytes_free(ret_output, 2).
 * Blocks   yes.
 */
int weft_child_run(const char *const argv[], const weft_child_options *options,
                   weft_bytes *ret_output, weft_outcome *ret_outcome,
                   weft_deadline deadline) WEFT_USE;

WEFT_END
#endif
