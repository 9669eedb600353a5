/* SPDX-License-Identifier: MIT */
/* Ctrl-C, as events. */
#ifndef FETCH_INTERRUPT_H
#define FETCH_INTERRUPT_H

#include <weft.h>

struct interrupts {
    weft_event finish; /* SIGINT came: finish what runs */
    weft_event stop;   /* it came again, or SIGTERM or SIGHUP did: stop at once */
};

extern struct interrupts interrupts;

/* From now on these signals wait to be read, and a pipe that nobody reads is an error of write().
 * Call while there is one thread, but not before weft_init(), whose processes stay as they are.
 * Returns a descriptor, readable when one has come, or -errno. */
int interrupts_open(void);

/* Reads the signals that have come and sets the events. */
void interrupts_read(int fd);

/* Reads those that have come, and from now on they do again what they did before. While there is
 * one thread that they could come to. */
void interrupts_close(int fd);

#endif
