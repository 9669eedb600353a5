/* SPDX-License-Identifier: MIT */
/*
 * process/origin.c: where the processes of a group or a pool come from, and what they find around
 * them: what its options say about processes, in the form in which each of them gets it.
 */
#include <errno.h>
#include <stdlib.h>

#include "process/again.h"
#include "process/code.h"
#include "process/origin.h"
#include "process/process.h"

bool origin_by_number(const struct process_origin *origin)
{
    return again_happened() || (origin && origin->surroundings.head.run_again);
}

bool process_origin_sees_code(const struct process_origin *origin, const void *address)
{
    if (origin_by_number(origin))
        return code_has_number((code *)(uintptr_t)address);
    return process_sees_code(address);
}

int process_origin_open(struct process_origin **ret, const weft_options *options)
{
    *ret = NULL;
    if (!process_available())
        return -ENOTCONN;
    if (!surroundings_wanted(options))
        return 0;
    struct process_origin *origin = calloc(1, sizeof *origin);
    if (!origin)
        return -ENOMEM;
    origin->memory_bytes_max = options->memory_bytes_max;
    int rc = surroundings_pack(&origin->surroundings, options);
    if (rc < 0)
        free(origin);
    else
        *ret = origin;
    return rc;
}

void process_origin_close(struct process_origin *origin)
{
    if (!origin)
        return;
    free(origin->surroundings.body);
    free(origin);
}
