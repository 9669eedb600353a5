/* SPDX-License-Identifier: MIT */
/* What was found about a command, for people and as JSON. */
#ifndef LAB_COMMAND_PRINT_H
#define LAB_COMMAND_PRINT_H

#include "command_search.h"
#include "results.h"

#include <stdio.h>

enum { COMMAND_VERDICT_BYTES = 1024 };

struct command_report {
    const struct command_search *search; /* has at least one degree, unless it was interrupted */
    const struct lab_machine *machine;
    bool interrupted;
    struct command_verdict verdict; /* without a degree: undefined */
    char text[COMMAND_VERDICT_BYTES];
};

/* The table, the verdict, and what one has to know about them. */
void command_print(const struct command_report *report);

/* One object; docs/lab.md describes it. Returns 0; -ENOMEM; -errno: it could not be
 * written. */
int command_json_write(const struct command_report *report, FILE *to);

#endif
