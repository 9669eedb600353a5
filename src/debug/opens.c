/* SPDX-License-Identifier: MIT */
/* debug/opens.c: a table of fixed size, hashed by strand, chained. */
#include "debug/opens.h"

static uint32_t *chain_of(struct opens *opens, const struct record *record)
{
    uint64_t hash = record->strand * UINT64_C(0x9E3779B97F4A7C15); /* Fibonacci hashing */
    return &opens->first[hash >> 51];
}

_Static_assert(OPENS_HASHES == 1 << (64 - 51), "as many as the hash has values");

static uint32_t take_free(struct opens *opens)
{
    uint32_t i = opens->free;
    if (i)
        opens->free = opens->spans[i].next;
    else if (opens->used < OPENS_MAX)
        i = ++opens->used;
    return i;
}

void opens_add(struct opens *opens, uint32_t ring, const struct record *record)
{
    uint32_t i = take_free(opens), *chain = chain_of(opens, record);
    if (!i)
        return;
    opens->spans[i] = (struct open_span){ *record, ring, *chain };
    *chain = i;
}

static bool is_same(const struct open_span *span, uint32_t ring, const struct record *record)
{
    return span->ring == ring && span->record.strand == record->strand &&
           span->record.span.began_ns == record->span.began_ns &&
           span->record.is_wait == record->is_wait && span->record.purpose == record->purpose;
}

/* Takes out the one that *link leads to. */
static void take_out(struct opens *opens, uint32_t *link)
{
    uint32_t i = *link;
    *link = opens->spans[i].next;
    opens->spans[i].next = opens->free;
    opens->free = i;
}

void opens_remove(struct opens *opens, uint32_t ring, const struct record *record)
{
    if (record->about)
        return; /* it was not known to be open; what began when it seems to have is another */
    for (uint32_t *link = chain_of(opens, record); *link; link = &opens->spans[*link].next)
        if (is_same(&opens->spans[*link], ring, record)) {
            take_out(opens, link);
            return;
        }
}

void opens_drop(struct opens *opens, uint32_t ring,
                void (*fn)(const struct record *record, void *ctx), void *ctx)
{
    for (uint32_t h = 0; h < OPENS_HASHES; h++)
        for (uint32_t *link = &opens->first[h]; *link;) {
            struct open_span *span = &opens->spans[*link];
            if (span->ring != ring) {
                link = &span->next;
                continue;
            }
            fn(&span->record, ctx);
            take_out(opens, link);
        }
}
