/* SPDX-License-Identifier: MIT */
/* A round: the command run by so many at once for a while, and what that took. */
#ifndef LAB_COMMAND_ROUND_H
#define LAB_COMMAND_ROUND_H

#include "command_child.h"
#include "command_inputs.h"

#include <stddef.h>
#include <stdint.h>

/* The first run that failed, to be shown. */
struct command_failure {
    bool happened;
    char text[sizeof((weft_outcome *)0)->text]; /* "exited with 1" */
    const char *input;                          /* the inputs' own; NULL: it has none */
    uint64_t line;
    char tail[COMMAND_TAIL_BYTES + 1];
};

/* What is run, and how far. */
struct command_work {
    char *const *words;
    const struct command_inputs *inputs; /* none: the words are run as they are */
    int directory_fd;                    /* where outputs are saved; less than 0: nowhere */

    weft_lock lock; /* guards what follows */
    uint64_t given; /* how many runs have been given an input: each gets the next, in turns */
    struct command_failure failure;
    bool wrong; /* not even the first run could be started */
};

/* What a round took; sums over its runs. */
struct command_round {
    uint32_t jobs;
    uint64_t runs, failed;
    uint64_t repeats, failed_repeats; /* of these, runs on an input that had been used before */
    double wall_s, cpu_s;
    double queued_s; /* their first threads waited for a CPU; NAN: unknown, as are the pressures */
    double work, window_s; /* runs in the time in which all were at work, also parts of runs */
    double round_s;
    double major_faults, disk_bytes, blocked, preempted;
    double cpu_pressure_s, io_pressure_s; /* of round_s; NAN: unknown */
    uint64_t memory_bytes;                /* the largest of all runs until now */
};

/* Runs the command by `jobs` strands, each at least once, until slice_ns have passed or `most` runs
 * have begun. Returns 0, -ETIMEDOUT at the deadline or -ECANCELED: what ran was ended, and *ret is
 * not written; -EAGAIN, -EMFILE, -ENFILE, -ENOMEM: the system has no room for so many at once; or
 * -errno with what is wrong in *trouble. */
#define COMMAND_TROUBLE_BYTES 160
int command_round_run(struct command_work *work, uint32_t jobs, int64_t slice_ns, uint64_t most,
                      weft_deadline deadline, struct command_round *ret,
                      char trouble[COMMAND_TROUBLE_BYTES]);

/* One run, seen from the rate: when it began and ended. */
struct command_span {
    int64_t begin_ns, end_ns;
};

/* How many runs fall into a window of time; of one that is only partly inside, that part. */
double command_work_within(const struct command_span *spans, size_t count, int64_t begin_ns,
                           int64_t end_ns);

#endif
