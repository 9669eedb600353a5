/* SPDX-License-Identifier: MIT */
/* base/number.h: numbers in the files by which the kernel tells of itself. */
#ifndef WEFT_BASE_NUMBER_H
#define WEFT_BASE_NUMBER_H

#include <stdint.h>

/* The number behind a word at the beginning of a line of a file, and behind blanks; UINT64_MAX:
 * there is none ("max"). */
uint64_t base_number_in(const char *path, const char *word);

#endif
