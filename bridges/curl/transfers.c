/* SPDX-License-Identifier: MIT */
/*
 * transfers.c: a list in the order of coming, and a hash table.
 *
 * libcurl says which easy handle has ended; the one pointer that a handle could carry for us
 * (CURLOPT_PRIVATE) is the user's. The table grows with what is in it and stays as large. Growing
 * may fail as long as there are any buckets at all.
 */
#include "transfers.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum { BUCKETS_FIRST = 64 };

static struct transfer **bucket(const struct transfers *transfers, const CURL *easy)
{
    /* Fibonacci hashing: handles are allocated at round addresses. */
    uint64_t hash = (uint64_t)(uintptr_t)easy * UINT64_C(0x9e3779b97f4a7c15);

    return &transfers->buckets[(hash >> 32) & (transfers->buckets_count - 1)];
}

static void enter_table(struct transfers *transfers, struct transfer *transfer)
{
    struct transfer **first = bucket(transfers, transfer->easy);

    transfer->same = *first;
    *first = transfer;
}

static int grow(struct transfers *transfers)
{
    size_t count = transfers->buckets_count == 0 ? BUCKETS_FIRST : 2 * transfers->buckets_count;
    struct transfer **buckets = calloc(count, sizeof(struct transfer *));

    if (buckets == NULL)
        return transfers->buckets_count == 0 ? -ENOMEM : 0;
    free(transfers->buckets);
    transfers->buckets = buckets;
    transfers->buckets_count = count;
    for (struct transfer *transfer = transfers->first; transfer; transfer = transfer->after)
        enter_table(transfers, transfer);
    return 0;
}

int transfers_add(struct transfers *transfers, struct transfer *transfer)
{
    if (transfers->count == transfers->buckets_count) {
        int rc = grow(transfers);
        if (rc < 0)
            return rc;
    }
    enter_table(transfers, transfer);
    transfer->before = transfers->last;
    transfer->after = NULL;
    *(transfers->last ? &transfers->last->after : &transfers->first) = transfer;
    transfers->last = transfer;
    transfers->count++;
    return 0;
}

void transfers_remove(struct transfers *transfers, struct transfer *transfer)
{
    struct transfer **at = bucket(transfers, transfer->easy);

    while (*at != transfer)
        at = &(*at)->same;
    *at = transfer->same;
    *(transfer->before ? &transfer->before->after : &transfers->first) = transfer->after;
    *(transfer->after ? &transfer->after->before : &transfers->last) = transfer->before;
    transfers->count--;
}

struct transfer *transfers_find(const struct transfers *transfers, const CURL *easy)
{
    struct transfer *transfer = transfers->count > 0 ? *bucket(transfers, easy) : NULL;

    while (transfer != NULL && transfer->easy != easy)
        transfer = transfer->same;
    return transfer;
}

void transfers_deinit(struct transfers *transfers)
{
    free(transfers->buckets);
}
