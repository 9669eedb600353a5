/* SPDX-License-Identifier: MIT */
/* Where this runs. */
#ifndef LAB_MACHINE_H
#define LAB_MACHINE_H

#include "results.h"

/* What the system does not say stays empty, or 0. */
void machine_read(struct lab_machine *ret);

/* CPU seconds that the CPUs which this program may use were busy since the machine started, whoever
 * used them; negative: not known. It advances in steps of about 10 ms. */
double machine_busy_s(void);

/* The CPUs that may be used at once: affinity, or what a quota leaves of it. */
double machine_cpus(const struct lab_machine *machine);

/* Whether an error (-errno) says that the system has no room for so many at once. */
bool machine_is_full(int error);

#endif
