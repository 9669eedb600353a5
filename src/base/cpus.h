/* SPDX-License-Identifier: MIT */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

#include <stdbool.h>

/* How many CPUs this process may use: what its affinity allows, or fewer where the quota of a
 * cgroup around it is smaller (rounded up). At least 1. Read anew by each call, since both may
 * change while a process runs; it costs some file reads, so callers keep the answer. Allocates;
 * when it cannot, a limit goes unseen rather than reported. */
unsigned base_cpus(void);

/* The same in thousandths of a CPU, not rounded, and whether that is a quota's doing. */
unsigned base_cpu_thousandths(bool *ret_quota);

/* The least quota found under the directory `root` (which stands for "/"), in thousandths of a CPU;
 * UINT_MAX: none. */
unsigned base_quota(const char *root);

/* The cgroup half of it, for tests: at most `most`, or less where a quota found under the directory
 * `root` (which stands for "/") says so. At least 1. */
unsigned base_cpus_within_quota(const char *root, unsigned most);

#endif
