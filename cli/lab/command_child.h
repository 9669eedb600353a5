/* SPDX-License-Identifier: MIT */
/* One run of a command. */
#ifndef LAB_COMMAND_CHILD_H
#define LAB_COMMAND_CHILD_H

#include <weft.h>

#include <stdbool.h>

/* How much of the end of what it wrote to its standard error is kept, for people to read. */
#define COMMAND_TAIL_BYTES 512

/* How a run ended. */
struct command_end {
    int64_t started_ns, ended_ns;
    double queued_s;      /* for which its first thread waited for a CPU; NAN: unknown */
    int start_error;      /* less than 0: it could not be started; nothing else is set then */
    weft_outcome outcome; /* done, or what else */
    char tail[COMMAND_TAIL_BYTES + 1];
};

/* What a strand needs to run one after the other. */
struct command_child;

int command_child_open(struct command_child **ret_child);
void command_child_close(struct command_child *child);

/* Runs it to its end. It reads /dev/null and has a process group of its own. What it writes is read
 * and forgotten, or saved as NAME.out and NAME.err in a directory (directory_fd; less than 0: not).
 * Returns 0 if it has run or could not be started; -ECANCELED: it was ended; -errno: it could not
 * be followed, or its output not be saved. */
int command_child_run(struct command_child *child, char *const *words, int directory_fd,
                      uint64_t name, struct command_end *ret_end);

#endif
