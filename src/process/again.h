/* SPDX-License-Identifier: MIT */
/* process/again.h: a process that runs the program again, from its beginning (WEFT_START_EXEC). */
#ifndef WEFT_PROCESS_AGAIN_H
#define WEFT_PROCESS_AGAIN_H

#include "process/surroundings.h"

/*
 * In a fork of the zygote, before anything of the user's runs: becomes the program anew, whose
 * weft_init() goes on with the channel. The environment and all else are as the process has them.
 * Returns only if that fails, with *failure.
 */
void again_run(int channel, struct surroundings_failure *failure);

/* In weft_init(): if this is such a process, never returns. */
void again_resume(void);

/* Whether this is such a process, or a fork of one: its code has other addresses. */
bool again_happened(void);

/* Whether weft_init() will find that this is such a process. */
bool again_begins(void);

#endif
