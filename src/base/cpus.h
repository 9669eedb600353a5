/* SPDX-License-Identifier: MIT */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

/* How many CPUs this process may use: what its affinity allows, or fewer where the quota of a
 * cgroup around it is smaller (rounded up). At least 1. Read anew by each call, since both may
 * change while a process runs; it costs some file reads, so callers keep the answer. Allocates;
 * when it cannot, a limit goes unseen rather than reported. */
unsigned base_cpus(void);

/* The cgroup half of it, for tests: at most `most`, or less where a quota found under the directory
 * `root` (which stands for "/") says so. At least 1. */
unsigned base_cpus_within_quota(const char *root, unsigned most);

#endif
