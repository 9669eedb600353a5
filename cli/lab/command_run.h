/* SPDX-License-Identifier: MIT */
/* `weft lab -- COMMAND`: the lab's question about the user's own command. */
#ifndef LAB_COMMAND_RUN_H
#define LAB_COMMAND_RUN_H

#include "settings.h"

/* Measures settings->command. Returns an exit_code (../command.h), with what is wrong on stderr. */
int lab_command_run(const struct lab_settings *settings);

#endif
