/* SPDX-License-Identifier: MIT */
/*
 * process/process.h: the door of this room: child processes of the program that run calls.
 *
 * A process is forked by the zygote, runs the calls that come by its lane (lane.h), and ends when
 * the lane says so, when its owner dies, or is killed. One strand at a time uses a struct process,
 * but process_signal() may come from any.
 */
#ifndef WEFT_PROCESS_PROCESS_H
#define WEFT_PROCESS_PROCESS_H

#include <weft/options.h>

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

/* What a process gets once, before its first call. All pointers are borrowed until it has started;
 * but the lane is used until it has ended. */
struct process_options {
    const char *name;    /* what ps shows, at most 15 bytes are kept; NULL: the program's own */
    const void *context; /* bytes for call->context of every call; with WEFT_POINTER as size: the */
    size_t context_bytes;                             /* pointer itself. Otherwise a plain size. */
    int (*enter)(weft_call *call, void **ret_worker); /* NULL: none */
    void (*leave)(void *worker);                      /* NULL: none */
    const struct process_origin *origin;
    struct lane *lane; /* in shared memory: calls come by it */
    int64_t worker;    /* which of a pool's it is, for traces; -1: of none */
};

/* What came of starting a process, or of its enter. */
struct process_result {
    int status;
    char text[160];
};

/*
 * Starts a process: has the zygote fork it and waits until it exists (a task parks; not
 * cancellable). enter runs in the process afterwards; process_look() tells.
 * Returns  0; -ENOTCONN: no weft_init(); -ECHILD: in a child that the user forked; -EPIPE: the
 *          zygote has died; -EAGAIN, -ENOMEM: the system has no room for another; -EMFILE; -EPERM:
 *          the program has changed its user or group since weft_init().
 */
int process_open(struct process **ret, const struct process_options *options);

/*
 * The same for who waits for many processes: asks the zygote, and does not wait for the process.
 * Returns  as process_open() as far as it is known by now; the rest is news.
 */
int process_ask(struct process **ret, const struct process_options *options);

/* What becomes readable when the process has something to say; borrowed. */
int process_fd(const struct process *);

enum process_news {
    PROCESS_SILENT,      /* nothing for now */
    PROCESS_NOT_STARTED, /* it could not be made, failure->status says why; PROCESS_ENDED follows */
    PROCESS_HAS_STARTED, /* it exists */
    PROCESS_IS_READY,    /* enter has run */
    PROCESS_REFUSED,     /* enter has failed, or something that the origin asks for could not be
                            had: *failure says how; PROCESS_ENDED follows */
    PROCESS_RANG,        /* there is news in its lane */
    PROCESS_ENDED,       /* *end says how; SIGKILL, too, if it went with the zygote. And so on */
};

/* The next thing that it says. Does not wait. */
enum process_news process_look(struct process *, struct process_result *failure,
                               struct process_end *end);

/* Sends a signal to the process; nothing happens if it has ended (no other process is ever hit). */
void process_signal(struct process *, int signo);

/* The process id, for messages. */
pid_t process_id(const struct process *);

/* Kills the process if it lives, waits until it was reaped, frees. Ignores cancellation. NULL ok.
 */
void process_close(struct process *);

/* "killed by signal 11 (Segmentation fault)" or "exited with code 3". */
void process_end_describe(const struct process_end *end, char *text, size_t size);

/*
 * Whether a fork of the zygote could see a function, any process a piece of memory: code of the
 * images that were loaded before weft_init(), shared memory. True for NULL.
 */
bool process_sees_code(const void *address);
bool process_sees_memory(const void *address);

/* Whether weft_init() was called, successfully, in this program. */
bool process_available(void);

#endif
