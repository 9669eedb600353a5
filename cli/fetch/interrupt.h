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

/* From now on signals set the events, and a pipe that nobody reads is an error of write(). */
void interrupts_catch(void);

#endif
