/* SPDX-License-Identifier: MIT */
/* How many files and connections can be open at once. */
#ifndef FETCH_DESCRIPTORS_H
#define FETCH_DESCRIPTORS_H

#include <stdint.h>

/* Raises the limit as far as the system allows, and returns it. */
uint64_t descriptors_raise(void);

/* The fewest that a run can do with: a worker of kind threads or tasks has `each`, those that it
 * saves with included. */
uint64_t descriptors_needed(uint64_t workers, uint64_t each);

#endif
