/* SPDX-License-Identifier: MIT */
/* The half of options.c that prints; for options.c only. */
#ifndef CLI_OPTIONS_HELP_H
#define CLI_OPTIONS_HELP_H

#include "options.h"

/* Writes n as the option's type spells it; VALUE_TEXT_MAX bytes are enough. */
void option_number_format(const struct option_spec *spec, uint64_t n, char *text, size_t text_size);

void options_print_help(const struct options *options);

#endif
