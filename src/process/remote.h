/* SPDX-License-Identifier: MIT */
/*
 * process/remote.h: running a future's call in a process and watching over it: its deadline, its
 * cancellation, its death.
 */
#ifndef WEFT_PROCESS_REMOTE_H
#define WEFT_PROCESS_REMOTE_H

#include "process/process.h"
#include "strand/future.h"

/* What became of a call in a process. */
enum remote_fate {
    REMOTE_RETURNED,  /* its status, words and result are in the future's call */
    REMOTE_CRASHED,   /* the process died of it */
    REMOTE_OVERDUE,   /* the process was killed, as the call took too long */
    REMOTE_CANCELLED, /* the process was ended, as the call was cancelled */
    REMOTE_LOST,      /* weft could not do its part; status says why */
};

struct remote {
    enum remote_fate fate;
    bool usable;  /* the process can run another call */
    bool unbegun; /* crashed: the process died before it began the call */
    int status;
    struct process_end end; /* of the process, unless usable */
    pid_t pid;
};

/*
 * Runs a begun future's call on a ready process, and waits until it is known what became of it. The
 * calling strand is the one on which the future was begun.
 */
void remote_run(struct remote *ret, struct process *process, weft_future *future,
                const weft_options *options);

/* Ends the future accordingly. Takes the runner's reference. */
void remote_end(const struct remote *remote, weft_future *future);

/* "killed by signal 11 (Segmentation fault)" or "exited with code 3". */
void remote_describe(const struct process_end *end, char *text, size_t size);

#endif
