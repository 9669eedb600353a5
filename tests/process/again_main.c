/* SPDX-License-Identifier: MIT */
/*
 * A program as a user writes it, whose workers run it again: what main() does before weft_init() is
 * done by each, what it does afterwards once. Its arguments are its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

#include "harness.h"

enum { CALLS = 50 };

static int arguments; /* as main() got them */

static int add_arguments(weft_call *call)
{
    int n = *(const int *)call->arg + arguments;
    return weft_call_return(call, &n, sizeof n);
}

static int run_again(int argc, char *argv[])
{
    int in[CALLS], out[CALLS];
    weft_pool *pool;
    weft_options options = { .start = WEFT_START_EXEC, .workers = 2 };
    for (int i = 0; i < CALLS; i++)
        in[i] = i;
    int rc = weft_pool_open(&pool, WEFT_PROCESSES, &options);
    if (rc < 0)
        return rc;
    rc = weft_pool_map(pool, add_arguments,
                       &(weft_map){ .in = in,
                                    .count = CALLS,
                                    .in_bytes = sizeof *in,
                                    .out = out,
                                    .out_bytes = sizeof *out },
                       WEFT_FOREVER);
    weft_pool_close(pool);
    for (int i = 0; rc == 0 && i < CALLS; i++)
        if (out[i] != i + 3)
            rc = -1;
    return rc == 0 && argc == 3 && strcmp(argv[2], "two words") == 0 ? 0 : -1;
}

int main(int argc, char *argv[])
{
    if (HARNESS_EMULATED || HARNESS_VALGRIND)
        return 77; /* which would be run again instead */
    arguments = argc;
    if (weft_register("add arguments", add_arguments) < 0)
        return EXIT_FAILURE;
    int rc = weft_init();
    if (rc == 0)
        rc = run_again(argc, argv);
    printf("%s\n", rc == 0 ? "once" : weft_strerror(rc));
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
