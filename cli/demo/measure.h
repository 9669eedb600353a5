/* SPDX-License-Identifier: MIT */
/* Runs a command and measures it with all the processes that it starts. */
#ifndef DEMO_MEASURE_H
#define DEMO_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct measured {
    int exit_code; /* 128 + signal if one ended it */
    double wall_s;
    double cpu_s;        /* user and system, of all the processes */
    uint64_t peak_bytes; /* the largest sum of their memory that was seen */
};

/* Starts a program whose stdout (and stdin) are pipes; it ends with the caller, however that ends.
 * Returns its id or -errno; the descriptors are the caller's. ret_in may be NULL: /dev/null. */
pid_t measure_start(const char *const argv[], int *ret_out, int *ret_in);

/* Runs a program to its end and calls on_line for each line that it prints, without the newline.
 * `other` is a child of the caller's that has nothing to do with it. Returns 0 or -errno. */
int measure_run(const char *const argv[], pid_t other, void (*on_line)(const char *line, void *ctx),
                void *ctx, struct measured *ret);

#endif
