/* SPDX-License-Identifier: MIT */
/* How often each flaky address was asked for. Whoever calls holds the site's lock. */
#ifndef SERVE_FLAKY_H
#define SERVE_FLAKY_H

#include <stddef.h>
#include <stdint.h>

#define FLAKY_KEYS_MAX 100000

struct flaky {
    void *tree; /* of tsearch */
    size_t count;
};

/* Counts one more request for (path, key) and sets *ret_before to how many there were.
 * Returns 0, -ENOMEM, or -ENOSPC when FLAKY_KEYS_MAX addresses are already counted. */
int flaky_count(struct flaky *flaky, const char *path, const char *key, uint64_t *ret_before);

/* Forgets every address. */
void flaky_forget(struct flaky *flaky);

#endif
