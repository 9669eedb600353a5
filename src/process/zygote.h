/* SPDX-License-Identifier: MIT */
/*
 * process/zygote.h: the zygote, from which all processes are forked. init.c makes it, ask.c
 * asks it, zygote.c is the zygote itself.
 */
#ifndef WEFT_PROCESS_ZYGOTE_H
#define WEFT_PROCESS_ZYGOTE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* What the zygote knows of the program: noted by the program before the fork. */
struct zygote_home {
    int socket;       /* the zygote's end of the control socket */
    int program_fd;   /* pidfd of the program */
    pid_t program;    /* its id */
    sigset_t signals; /* its signal mask; children get it back */
};

/* What may be asked of the zygote, and the descriptors that go with it, in this order. */
enum zygote_what {
    ZYGOTE_START = 1, /* fork a process: its channel, the control socket, its working directory */
    ZYGOTE_KEEP,      /* keep a descriptor: a socket for the answer, the descriptor */
    ZYGOTE_TAKE,      /* give back the descriptor of a ticket (value): a socket for the answer */
    ZYGOTE_ENDED,     /* from a snapshot: a process has ended, whose tickets are kept (value: its
                         id; below it in the higher half 1 if it was in peace): nothing */
    ZYGOTE_MOVE,      /* have another program (value: its id): a socket for the answer, its pidfd */
};

/* A request: a datagram of this and of the descriptors. */
struct zygote_request {
    uint32_t version;
    uint32_t what;
    uint32_t euid, egid; /* of who asks */
    uint64_t value;
};

#define ZYGOTE_VERSION 2u

/* Their places. The first is where what came of the request is told. */
enum { ZYGOTE_CHANNEL, ZYGOTE_CONTROL, ZYGOTE_DIRECTORY, ZYGOTE_DESCRIPTORS };
enum { ZYGOTE_ANSWER = ZYGOTE_CHANNEL, ZYGOTE_FD };

/* What the zygote does, with all signals blocked. Never returns. */
__attribute__((noreturn)) void zygote_run(const struct zygote_home *program);

/* fork() by weft itself: the child may go on using weft, while a user's own fork may not. */
pid_t zygote_fork(void);

/* Whether the process has one thread, without which it must not fork. */
bool zygote_may_fork(void);

/* Waits for a child whose exit code is an error. Returns 0 or that, negative. */
int zygote_reap(pid_t pid);

/*
 * In a child of the zygote: it may ask for processes by this socket, for descriptors by that (the
 * same, or the first zygote's), and talks by the channel.
 */
void zygote_adopt(int control, int broker, int channel);

/*
 * Makes another zygote, of this process as it is.
 * Returns  its control socket, for zygote_release(); -EBUSY: there are several threads; -EMFILE,
 *          -ENOMEM, -EAGAIN.
 */
int zygote_snapshot(void);

/* Ends that zygote, whose children have all ended, and waits until it has. */
void zygote_release(int snapshot);

/* Whether this process has any. */
bool zygote_has_snapshots(void);

/* Whether the zygote behind a control socket lives. */
bool zygote_alive(int control);

/* Whether this is a process that a zygote forked, and not the program. */
bool zygote_is_child(void);

/* The control socket of the zygote of this process, and of the first zygote; own for ever; -1:
 * there is none. */
int zygote_control(void);
int zygote_broker(void);

/* The process id of the zygote, 0 before weft_init(). */
pid_t zygote_id(void);

/* Whether this is a child that the user forked: it must leave what it inherited alone. */
bool zygote_is_strange(void);

#endif
