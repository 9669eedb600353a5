/* SPDX-License-Identifier: MIT */
/*
 * process/surroundings.h: what a process finds around it, where options say so: environment,
 * working directory, CPUs, niceness, a limit of memory. The owner packs it into a message, and the
 * process unpacks it before it does anything else.
 */
#ifndef WEFT_PROCESS_SURROUNDINGS_H
#define WEFT_PROCESS_SURROUNDINGS_H

#include <weft/options.h>

/* The head of the message. Its body are strings, one behind the other, each with its NUL: first
 * those that there are of directory and cpus, then the environment. */
struct surroundings_head {
    int32_t niceness;
    bool has_directory, has_cpus, has_environment, run_again;
    uint64_t strings; /* how many of them make the environment */
};

struct surroundings {
    struct surroundings_head head;
    char *body;
    size_t body_bytes;
};

/* What a process could not do of it. */
struct surroundings_failure {
    int error; /* negative; 0: nothing failed */
    char text[160];
};

/* Whether options say anything that needs the message. */
bool surroundings_wanted(const weft_options *options);

/* Packs what options say. Returns 0, and ret->body is malloc'ed; -ENOMEM. */
int surroundings_pack(struct surroundings *ret, const weft_options *options);

/*
 * In the process: makes it so.
 * Shape    body: in the order of the head; kept for ever, as the environment is made of it.
 * Returns  false, with *failure: not all of it could be.
 */
bool surroundings_apply(const struct surroundings_head *head, char *body,
                        struct surroundings_failure *failure);

/* In the process: limits the memory that it may take from now on. */
bool surroundings_limit_memory(uint64_t bytes, struct surroundings_failure *failure);

#endif
