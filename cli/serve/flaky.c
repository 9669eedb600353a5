/* SPDX-License-Identifier: MIT */
/* A set of counters by address, in the C library's binary tree. */
#include "flaky.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct counter {
    uint64_t asked;
    char address[]; /* path, '?', key */
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct counter *)a)->address, ((const struct counter *)b)->address);
}

static struct counter *make(const char *path, const char *key)
{
    size_t path_length = strlen(path);
    size_t key_bytes = strlen(key) + 1;
    struct counter *counter = malloc(sizeof *counter + path_length + 1 + key_bytes);

    if (counter == NULL)
        return NULL;
    counter->asked = 0;
    memcpy(counter->address, path, path_length);
    counter->address[path_length] = '?';
    memcpy(counter->address + path_length + 1, key, key_bytes);
    return counter;
}

/* Takes `counter` into the tree, or frees it if its address is there already. */
static int enter(struct flaky *flaky, struct counter *counter, struct counter **ret)
{
    struct counter **found = tfind(counter, &flaky->tree, compare);

    if (found == NULL) {
        if (flaky->count >= FLAKY_KEYS_MAX) {
            free(counter);
            return -ENOSPC;
        }
        found = tsearch(counter, &flaky->tree, compare);
        if (found == NULL) {
            free(counter);
            return -ENOMEM;
        }
        flaky->count++;
    } else {
        free(counter);
    }
    *ret = *found;
    return 0;
}

int flaky_count(struct flaky *flaky, const char *path, const char *key, uint64_t *ret_before)
{
    struct counter *counter = make(path, key);

    if (counter == NULL)
        return -ENOMEM;
    int rc = enter(flaky, counter, &counter);
    if (rc == 0)
        *ret_before = counter->asked++;
    return rc;
}

void flaky_forget(struct flaky *flaky)
{
    tdestroy(flaky->tree, free);
    *flaky = (struct flaky){ NULL, 0 };
}
