/* SPDX-License-Identifier: MIT */
/* pool/auto.h: pools of kind auto: which kind they are, and how many workers they have (auto.c). */
#ifndef WEFT_POOL_AUTO_H
#define WEFT_POOL_AUTO_H

#include <weft/options.h>

/* What these options ask for that only processes can do, in words; NULL: nothing. */
const char *auto_isolates(const weft_options *options);

#endif
