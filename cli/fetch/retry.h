/* SPDX-License-Identifier: MIT */
/* What is tried again, and when. */
#ifndef FETCH_RETRY_H
#define FETCH_RETRY_H

#include "settings.h"

/* No wait between two attempts is longer, unless the server asks for it. */
#define RETRY_BACKOFF_MAX_NS (30 * WEFT_S)

/* Whether a failure may be gone the next time. */
bool retry_may_help(enum failure failure, int status);

/* How long to wait after so many attempts (at least 1). retry_after_s: what the server asked for,
 * 0: nothing. random: any number, for the jitter. */
int64_t retry_wait_ns(const struct settings *settings, uint32_t attempts, int64_t retry_after_s,
                      uint64_t random);

#endif
