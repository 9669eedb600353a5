/* SPDX-License-Identifier: MIT */
/* debug/opens.h: the writer's note of spans that have begun and not ended, for when they never do.
 */
#ifndef WEFT_DEBUG_OPENS_H
#define WEFT_DEBUG_OPENS_H

#include "debug/ring.h"

/* The most that are noted; of others it is not known that they never end. */
enum { OPENS_MAX = 16384, OPENS_HASHES = 8192 };

struct open_span {
    struct record record;
    uint32_t ring;
    uint32_t next; /* of its hash, or free; 0: the last */
};

/* All zero: none. */
struct opens {
    uint32_t first[OPENS_HASHES];
    uint32_t free, used; /* numbers begin with 1 */
    struct open_span spans[OPENS_MAX + 1];
};

void opens_add(struct opens *opens, uint32_t ring, const struct record *record);

/* The span that the record is of has ended. */
void opens_remove(struct opens *opens, uint32_t ring, const struct record *record);

/* Takes out all of a ring, and calls fn for each. */
void opens_drop(struct opens *opens, uint32_t ring,
                void (*fn)(const struct record *record, void *ctx), void *ctx);

#endif
