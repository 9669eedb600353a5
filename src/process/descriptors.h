/* SPDX-License-Identifier: MIT */
/* process/descriptors.h: which descriptors a process keeps, and descriptors of processes. */
#ifndef WEFT_PROCESS_DESCRIPTORS_H
#define WEFT_PROCESS_DESCRIPTORS_H

#include <sys/types.h>

/*
 * Closes every descriptor but 0 to 2 and those listed (n of them, in any order, the list is sorted;
 * none of 0 to 2; negative ones stand for nothing, and one may be there twice). What of 0 to 2 is
 * not open is opened to /dev/null, so that no descriptor that is made later takes its place and
 * receives what somebody prints.
 */
void descriptors_keep(int keep[], size_t n);

/*
 * Moves a descriptor out of 0 to 2, which belong to stdio even while they are closed.
 * Returns  the descriptor; -errno, and fd is closed. A negative fd is passed through.
 */
int descriptors_raise(int fd);

/* Has standard input, output and error go where fd, which is /dev/null, goes. */
void descriptors_silence(int null);

/* Closes it if it is one (not negative). */
void descriptors_close(int fd);

/* Descriptors of processes (Linux 5.3), which mean the same process for ever. 0 or -errno. */
int descriptors_of_process(pid_t pid);
int descriptors_signal(int pidfd, int signo);

#endif
