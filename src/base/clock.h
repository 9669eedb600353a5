/* SPDX-License-Identifier: MIT */
/* base/clock.h: a cheaper clock for times that are hardly ever looked at. */
#ifndef WEFT_BASE_CLOCK_H
#define WEFT_BASE_CLOCK_H

#include <stdint.h>

/* As weft_now(), but some milliseconds behind, at the system's last tick. */
int64_t time_coarse_ns(void);

#endif
