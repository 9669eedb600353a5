/* SPDX-License-Identifier: MIT */
/*
 * process/process.h: the door of this room: child processes of the program that run calls.
 *
 * A process is forked by the zygote, runs calls that its owner sends, one at a time, and ends when
 * its owner closes it, dies, or kills it. One strand at a time uses a struct process, but
 * process_signal() may come from any.
 */
#ifndef WEFT_PROCESS_PROCESS_H
#define WEFT_PROCESS_PROCESS_H

#include <weft/options.h>
#include <weft/time.h>

struct process;
struct lane;

/* Where the processes of a group or a pool come from and what they find around them: what its
 * options say about that. NULL stands for options that say nothing. */
struct process_origin;

/*
 * Keeps what options say (start, environment, directory, cpus, niceness, memory_bytes_max). They
 * were checked and are borrowed during the call.
 * Returns  0 and *ret, which may be NULL; -ENOTCONN: no weft_init(); -ENOMEM.
 */
int process_origin_open(struct process_origin **ret, const weft_options *options);

/* None of its processes is left. NULL ok. */
void process_origin_close(struct process_origin *origin);

/*
 * Whether its processes could see a function: code of the images that were loaded before
 * weft_init(); where the program is run again, what weft_register() was given. True for NULL.
 */
bool process_origin_sees_code(const struct process_origin *origin, const void *address);

/* The word that means a function, which they see, to its processes (code.h). */
uint64_t process_origin_word(const struct process_origin *origin, weft_fn *fn);

/* How a process ended. */
struct process_end {
    int signal;    /* that killed it, or 0 */
    int exit_code; /* if no signal did */
};

/* What a process gets once, before its first call. All pointers borrowed during process_open(). */
struct process_options {
    const char *name;    /* what ps shows, at most 15 bytes are kept; NULL: the program's own */
    const void *context; /* bytes for call->context of every call; with WEFT_POINTER as size: the */
    size_t context_bytes;                             /* pointer itself. Otherwise a plain size. */
    int (*enter)(weft_call *call, void **ret_worker); /* NULL: none */
    void (*leave)(void *worker);                      /* NULL: none */
    const struct process_origin *origin;
    struct lane *lane; /* calls come by it, and nothing is sent; NULL: they are sent */
};

/* What came of a call. */
struct process_result {
    int status;
    void *result; /* malloc'ed, 16-aligned, NUL behind; NULL: none. The caller's to free */
    size_t result_bytes;
    char text[160];
};

/*
 * Starts a process: has the zygote fork it and waits until it exists (a task parks; not
 * cancellable). enter runs in the process afterwards; process_ready() waits for it.
 * Returns  0; -ENOTCONN: no weft_init(); -ECHILD: in a child that the user forked; -EPIPE: the
 *          zygote has died; -EAGAIN, -ENOMEM: the system has no room for another; -EMFILE; -EPERM:
 *          the program has changed its user or group since weft_init().
 */
int process_open(struct process **ret, const struct process_options *options);

/*
 * Waits until enter has run (process_open() with neither enter nor an origin needs no waiting, but
 * it may be called).
 * Returns  0; -ECHILD: enter failed, or something that the origin asks for could not be had:
 *          *failure says how and the process is ending; -EPIPE: it has died, process_wait() says
 *          how; -ETIMEDOUT, -ECANCELED: ask again.
 */
int process_ready(struct process *, struct process_result *failure, weft_deadline deadline);

/*
 * The same in steps, for who waits for many processes: asks the zygote, and does not wait for the
 * process. process_look() then takes what it says, whenever process_fd() is readable.
 * Returns  as process_open() as far as it is known by now; the rest is an end.
 */
int process_ask(struct process **ret, const struct process_options *options);

int process_fd(const struct process *);

enum process_news {
    PROCESS_SILENT,      /* nothing for now */
    PROCESS_NOT_STARTED, /* it could not be made, failure->status says why; PROCESS_ENDED follows */
    PROCESS_HAS_STARTED, /* it exists */
    PROCESS_IS_READY,    /* enter has run */
    PROCESS_REFUSED,     /* enter has failed, *failure says how */
    PROCESS_RANG,        /* there is news in its lane */
    PROCESS_ENDED,       /* *end says how; SIGKILL, too, if it went with the zygote */
};
enum process_news process_look(struct process *, struct process_result *failure,
                               struct process_end *end);

/*
 * Sends a call: fn, and of call: arg and arg_bytes, pointer, index, attempt, ret_bytes. Nothing
 * may run in it. A process that dies meanwhile is no error: process_receive() will tell.
 * Returns  0; -ENOMEM, -EFAULT (arg): the call was not sent, and the process is killed, because it
 *          may have got a part of it. Blocks while the process is slow to read, not cancellable.
 */
int process_send(struct process *, weft_fn *fn, const weft_call *call);

/*
 * Waits for the result of the call that was sent.
 * Returns  0 and *ret; -EPIPE: the process has died, process_wait() says how; -ENOMEM: there is a
 *          result but no memory for it (the call has ended); -ETIMEDOUT, -ECANCELED: it still
 *          runs, ask again.
 */
int process_receive(struct process *, struct process_result *ret, weft_deadline deadline);

/*
 * Whether the process, which has ended, had begun the call that it was sent last; true if nobody
 * knows.
 */
bool process_began(const struct process *);

/* Sends a signal to the process; nothing happens if it has ended (no other process is ever hit). */
void process_signal(struct process *, int signo);

/* The process id, for messages. */
pid_t process_id(const struct process *);

/*
 * Asks the process to end after what it runs (it calls leave), without waiting. */
void process_finish(struct process *);

/*
 * Waits until the process has ended and was reaped.
 * Returns  0 and *ret; -EPIPE: the zygote died, and with it the process: nobody knows how;
 *          -ETIMEDOUT, -ECANCELED.
 */
int process_wait(struct process *, struct process_end *ret, weft_deadline deadline);

/* Kills the process if it lives, waits until it was reaped, frees. Ignores cancellation. NULL ok.
 */
void process_close(struct process *);

/*
 * Whether a fork of the zygote could see a function, any process a piece of memory: code of the
 * images that were loaded before weft_init(), shared memory. True for NULL.
 */
bool process_sees_code(const void *address);
bool process_sees_memory(const void *address);

/* Whether weft_init() was called, successfully, in this program. */
bool process_available(void);

#endif
