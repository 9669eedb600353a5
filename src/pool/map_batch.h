/* SPDX-License-Identifier: MIT */
/* pool/map_batch.h: what a batch of a map carries (map_batch.c). */
#ifndef WEFT_POOL_MAP_BATCH_H
#define WEFT_POOL_MAP_BATCH_H

#include "pool/crew.h"
#include "pool/map.h"

/* More than that is carried only by a batch of one item. */
#define MAP_BATCH_BYTES ((size_t)512 << 10)

struct map_job {
    weft_pool *pool;
    weft_fn *fn;
    const weft_map *spec;
};

/* How a batch's memory is cut up. */
struct map_layout {
    size_t n;
    size_t items_at, data_at, rets_at, bytes;
};

/* Whether results go to an array of fixed size. */
bool map_fixed_results(const weft_map *spec);

/* What an item takes in a batch, without what is behind a pointer. */
size_t map_item_bytes(const struct map_job *job);

/* A layout for at most n items from `first` on: as many as do not carry too much. */
struct map_layout map_plan(const struct map_job *job, size_t first, size_t n);

/* Memory for a batch: its own, or a block. NULL: there is none. */
char *map_batch_memory(struct assignment *what, struct batch *batch, size_t bytes);

/* Fills a batch; what->first says with what, fn and flags are set. */
void map_fill(const struct map_job *job, struct assignment *what, struct batch *batch, char *memory,
              const struct map_layout *layout);

#endif
