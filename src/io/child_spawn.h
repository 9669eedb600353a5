/* SPDX-License-Identifier: MIT */
/* io/child_spawn.h: starting another program, with its standard streams where they shall be. */
#ifndef WEFT_IO_CHILD_SPAWN_H
#define WEFT_IO_CHILD_SPAWN_H

#include <weft/child.h>

/* A program that is to be started, and the descriptors for it. */
struct spawn {
    const char *const *argv;
    const weft_child_options *options;
    int stdio[3];  /* WEFT_CHILD_*, never the default */
    int theirs[3]; /* what become its 0, 1 and 2; -1: nothing */
    int ours[3];   /* the other ends of pipes, non-blocking; -1: there is none */
    pid_t pid;
};

/*
 * Opens the descriptors. What is at its default is taken from defaults.
 * Returns  0: to be ended by spawn_close(); or an error, and nothing is left.
 */
int spawn_open(struct spawn *spawn, const char *const argv[], const weft_child_options *options,
               const int defaults[3]);

/* Starts it, and sets pid. Returns 0 or what posix_spawn() says. */
int spawn_start(struct spawn *spawn);

/* Closes the descriptors that are still there: ours, unless somebody took them and set -1. */
void spawn_close(struct spawn *spawn);

/* Closes a descriptor; -1: there is none. */
void spawn_close_fd(int *fd);

#endif
