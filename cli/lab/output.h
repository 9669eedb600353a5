/* SPDX-License-Identifier: MIT */
/* The end of what is written for the user. */
#ifndef LAB_OUTPUT_H
#define LAB_OUTPUT_H

#include <stdio.h>

/* Ends what was printed to standard output, or to the file that an option names, which is closed.
 * rc: 0, or -errno of the printing; to: NULL if the file could not be opened. What is wrong is said
 * on standard error, unless it is that nobody reads standard output any more.
 * Returns 0 or -errno. */
int output_end_stdout(int rc);
int output_end_file(FILE *to, const char *option, const char *path, int rc);

#endif
