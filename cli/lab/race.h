/* SPDX-License-Identifier: MIT */
/* A data race, and the lock that stops it. */
#ifndef LAB_RACE_H
#define LAB_RACE_H

#include "results.h"

/* Has threads add to one counter, first without a lock, again and again until an update is lost
 * (but not for ever), then with one.
 * Shape    threads: 2 to 16; cpus: that they may use.
 * Returns  0; -ECANCELED; -errno: no threads. */
int lab_race_run(uint32_t threads, uint32_t cpus, struct lab_race *ret);

#endif
