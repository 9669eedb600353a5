/* SPDX-License-Identifier: MIT */
/*
 * process/zygote.h: the zygote, from which all processes are forked. init.c has the program's side
 * of it, zygote.c the zygote itself.
 */
#ifndef WEFT_PROCESS_ZYGOTE_H
#define WEFT_PROCESS_ZYGOTE_H

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* What the zygote knows of the program: noted by the program before the fork. */
struct zygote_home {
    int socket;       /* the zygote's end of the control socket */
    int program_fd;   /* pidfd of the program */
    pid_t program;    /* its id */
    sigset_t signals; /* its signal mask; children get it back */
};

/* A request: a datagram of this and of the descriptors, in this order. */
struct zygote_request {
    uint32_t version;
};

#define ZYGOTE_VERSION 1u

enum { ZYGOTE_CHANNEL, ZYGOTE_CONTROL, ZYGOTE_DIRECTORY, ZYGOTE_DESCRIPTORS };

/* What the zygote does, with all signals blocked. Never returns. */
__attribute__((noreturn)) void zygote_run(const struct zygote_home *program);

/* fork() by weft itself: the child may go on using weft, while a user's own fork may not. */
pid_t zygote_fork(void);

/* In a child of the zygote: it may ask for processes by this socket, and talks by that channel. */
void zygote_adopt(int control, int channel);

/*
 * Has a process forked that holds the other end of a channel, which will tell what came of it.
 * Shape    channel: borrowed.
 * Returns  0; -ENOTCONN: no weft_init(); -ECHILD: this is a fork of the user's own; -EPIPE: the
 *          zygote has died; -EMFILE, -ENOMEM.
 */
int zygote_ask(int channel);

bool zygote_alive(void);

/* The control socket, own for ever; -1: there is none. */
int zygote_control(void);

/* The process id of the zygote, 0 before weft_init(). */
pid_t zygote_id(void);

/* Whether this is a child that the user forked: it must leave what it inherited alone. */
bool zygote_is_strange(void);

#endif
