/* SPDX-License-Identifier: MIT */
/* base/memory.h: how much memory is left to this process. */
#ifndef WEFT_BASE_MEMORY_H
#define WEFT_BASE_MEMORY_H

#include <stdint.h>

/* How many bytes more the cgroups around this process let it take, before they take them away from
 * its files or, in the end, kill it; UINT64_MAX: as many as it likes. root: a directory that stands
 * for "/". */
uint64_t base_memory_left(const char *root);

#endif
