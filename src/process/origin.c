/* SPDX-License-Identifier: MIT */
/*
 * process/origin.c: where the processes of a group or a pool come from, and what they find around
 * them: what its options say about processes, in the form in which each of them gets it.
 *
 *   WEFT_START_ZYGOTE   forked by the zygote of the program
 *   WEFT_START_EXEC     the same, and then it runs the program again (again.c)
 *   WEFT_START_FORK     forked by a zygote of the group's or the pool's own, a snapshot of the
 *                       program that is made when it is opened
 *
 * The last is how a program with threads can have forks of itself: the watchers of groups and the
 * workers of pools are threads, so that the program itself could fork but once. The snapshot is
 * made before they are, and forks as many as are wanted, each as the program was at that moment.
 */
#include <errno.h>
#include <stdlib.h>

#include "process/again.h"
#include "process/code.h"
#include "process/origin.h"
#include "process/process.h"
#include "process/zygote.h"

bool origin_by_number(const struct process_origin *origin)
{
    if (origin && origin->snapshot >= 0)
        return false;
    return again_happened() || (origin && origin->surroundings.head.run_again);
}

int origin_control(const struct process_origin *origin)
{
    return origin && origin->snapshot >= 0 ? origin->snapshot : zygote_control();
}

bool process_origin_sees_code(const struct process_origin *origin, const void *address)
{
    if (origin && origin->snapshot >= 0)
        return images_hold(&origin->images, address);
    if (origin_by_number(origin))
        return code_has_number((code *)(uintptr_t)address);
    return process_sees_code(address);
}

uint64_t process_origin_word(const struct process_origin *origin, weft_fn *fn)
{
    return code_word((code *)fn, origin_by_number(origin));
}

/* A zygote of the program as it is. Returns 0 or an error. */
static int take_snapshot(struct process_origin *origin)
{
    int rc = images_list(&origin->images);
    if (rc == 0)
        rc = origin->snapshot = zygote_snapshot();
    return rc < 0 ? rc : 0;
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
    origin->snapshot = -1;
    int rc = surroundings_pack(&origin->surroundings, options);
    if (rc == 0 && options->start == WEFT_START_FORK)
        rc = take_snapshot(origin);
    if (rc < 0)
        process_origin_close(origin);
    else
        *ret = origin;
    return rc;
}

void process_origin_close(struct process_origin *origin)
{
    if (!origin)
        return;
    if (origin->snapshot >= 0)
        zygote_release(origin->snapshot);
    free(origin->images.ranges);
    free(origin->surroundings.body);
    free(origin);
}
