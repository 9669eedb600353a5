/* SPDX-License-Identifier: MIT */
/* The limit on descriptors. The soft limit is usually 1024, for the sake of programs that use
 * select(), of which this is none. */
#include "descriptors.h"

#include <sys/resource.h>

/* The standard ones, signals, input files, and what weft's workers wait with. */
enum { OTHERS = 64 };

uint64_t descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return UINT64_MAX;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = { limit.rlim_max, limit.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}

uint64_t descriptors_needed(uint64_t workers, uint64_t each)
{
    return each == 0 ? 0 : OTHERS + workers * each;
}
