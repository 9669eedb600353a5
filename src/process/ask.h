/* SPDX-License-Identifier: MIT */
/* process/ask.h: what the program and its processes ask the zygote. */
#ifndef WEFT_PROCESS_ASK_H
#define WEFT_PROCESS_ASK_H

#include <stdint.h>

#include "process/zygote.h"

/*
 * Has a process forked that holds the other end of a channel, which will tell what came of it.
 * Shape    control: of the zygote to ask; channel: borrowed.
 * Returns  0; -ENOTCONN: no weft_init(); -ECHILD: this is a fork of the user's own; -EPIPE: the
 *          zygote has died; -EMFILE, -ENOMEM.
 */
int ask_for_process(int control, int channel);

/* What the zygote answers to the other requests. */
struct ask_answer {
    uint64_t value;
    int fd; /* the caller's to close; -1: none came */
};

/*
 * Asks the first zygote for something else and waits for the answer, as long as it takes: a task
 * parks, and nothing is cancellable. The zygote answers at once. Shape    fd: borrowed; -1: none
 * goes with it. Returns  0 and *ret; as above; -EBADF, -EINVAL: fd is none, or one that cannot be
 * sent; or what the zygote says.
 */
int ask_zygote(enum zygote_what what, uint64_t value, int fd, struct ask_answer *ret);

#endif
