/* SPDX-License-Identifier: MIT */
/* pool/map.h: what maps of all kinds of pool do alike (map.c). */
#ifndef WEFT_POOL_MAP_H
#define WEFT_POOL_MAP_H

#include "pool/pool.h"

/* Whether a size is a word for something else than plain bytes. */
static inline bool map_is_word(size_t bytes)
{
    return bytes >= WEFT_BYTES;
}

/* Where an item, or a result, of that size lies in its array. */
static inline size_t map_stride(size_t bytes)
{
    if (bytes == WEFT_BYTES)
        return sizeof(weft_bytes);
    return map_is_word(bytes) ? sizeof(void *) : bytes;
}

static inline char *map_result(const weft_map *spec, size_t index)
{
    return (char *)spec->out + index * map_stride(spec->out_bytes);
}

/* What the call for an item gets, in place. 0; -EINVAL, -EFAULT, -EMSGSIZE. */
int map_parse_item(weft_pool *pool, weft_fn *fn, const weft_map *spec, size_t index,
                   struct argument *ret);

/* How an item ended that was never started. */
void map_mark_unstarted(const weft_map *spec, size_t index);

/* weft_pool_map() over processes (process_map.c), after its arguments were checked. */
int map_over_processes(weft_pool *pool, weft_fn *fn, const weft_map *spec, weft_deadline deadline);

#endif
