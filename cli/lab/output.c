/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <string.h>

int output_end_stdout(int rc)
{
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = errno != 0 ? -errno : -EIO;
    if (rc < 0 && rc != -EPIPE) /* `| head` has seen enough */
        fprintf(stderr, "weft lab: standard output: %s\n", strerror(-rc));
    return rc;
}

int output_end_file(FILE *to, const char *option, const char *path, int rc)
{
    if (to != NULL && fclose(to) != 0 && rc == 0)
        rc = -errno;
    if (rc < 0)
        fprintf(stderr, "weft lab: %s %s: %s\n", option, path, strerror(-rc));
    return rc;
}
