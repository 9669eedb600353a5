/* SPDX-License-Identifier: MIT */
/* Where this runs. */
#ifndef LAB_MACHINE_H
#define LAB_MACHINE_H

#include "results.h"

/* What the system does not say stays empty, or 0. */
void machine_read(struct lab_machine *ret);

/* The CPUs that may be used at once: affinity, or what a quota leaves of it. */
double machine_cpus(const struct lab_machine *machine);

#endif
