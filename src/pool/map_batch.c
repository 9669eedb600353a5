/* SPDX-License-Identifier: MIT */
/*
 * pool/map_batch.c: what a batch of a map carries: its items, and room for what comes of them.
 *
 * An array in shared memory stays where it is: processes read their items, and write their results
 * of fixed size, in place, where nothing is cleared. Else a batch carries copies. Memory in the
 * batch, or a block of its own, is cut up like this:
 *
 *     log: an entry per item | items | their data | results of fixed size, or output space for
 * others
 *
 * Items of fixed size lie one behind the other, as in their array. Strings and bytes are a table of
 * where each is and how long, and behind it the data, each with a NUL.
 */
#include <string.h>

#include "base/shared_range.h"
#include "pool/map_batch.h"
#include "process/shared.h"

enum { OUT_MIN = 512, OUT_PER_ITEM = 128 };

bool map_fixed_results(const weft_map *spec)
{
    return spec->out && !map_is_word(spec->out_bytes);
}

static bool fixed_items(const weft_map *spec)
{
    return spec->in && !map_is_word(spec->in_bytes);
}

size_t map_item_bytes(const struct map_job *job)
{
    const weft_map *spec = job->spec;
    size_t bytes = sizeof(struct entry);
    if (fixed_items(spec) && !is_shared(spec->in))
        bytes += spec->in_bytes;
    else if (spec->in && map_is_word(spec->in_bytes))
        bytes += spec->in_bytes == WEFT_POINTER ? sizeof(void *) : sizeof(weft_bytes);
    if (map_fixed_results(spec))
        bytes += is_shared(spec->out) ? 0 : spec->out_bytes;
    else
        bytes += spec->out ? OUT_PER_ITEM : 0;
    return bytes;
}

/* Bytes of the items' data, with a NUL each, aligned; of as many of them as fit. */
static size_t data_bytes(const struct map_job *job, size_t first, size_t *n)
{
    size_t bytes = 0;
    struct argument argument;
    for (size_t i = 0; i < *n; i++) {
        (void)map_parse_item(job->pool, job->fn, job->spec, first + i, &argument); /* was checked */
        size_t more = (argument.size + 16) & ~(size_t)15;
        if (i && bytes + more > MAP_BATCH_BYTES) {
            *n = i;
            break;
        }
        bytes += more;
    }
    return bytes;
}

static size_t align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static bool has_data(const weft_map *spec)
{
    return spec->in_bytes == WEFT_STRING || spec->in_bytes == WEFT_BYTES;
}

struct map_layout map_plan(const struct map_job *job, size_t first, size_t n)
{
    const weft_map *spec = job->spec;
    size_t data = spec->in && has_data(spec) ? data_bytes(job, first, &n) : 0, items = 0, rets;
    if (fixed_items(spec))
        items = is_shared(spec->in) ? 0 : n * spec->in_bytes;
    else if (spec->in)
        items = n * (spec->in_bytes == WEFT_POINTER ? sizeof(void *) : sizeof(weft_bytes));
    if (map_fixed_results(spec))
        rets = is_shared(spec->out) ? 0 : n * spec->out_bytes;
    else
        rets = OUT_MIN + (spec->out ? n * OUT_PER_ITEM : 0);
    struct map_layout ret = { .n = n, .items_at = align(n * sizeof(struct entry)) };
    ret.data_at = align(ret.items_at + items);
    ret.rets_at = align(ret.data_at + data);
    ret.bytes = ret.rets_at + rets;
    return ret;
}

char *map_batch_memory(struct assignment *what, struct batch *batch, size_t bytes)
{
    if (bytes <= BATCH_SPACE)
        return batch->space;
    what->block = shared_alloc_dirty(bytes);
    what->block_bytes = bytes;
    return what->block;
}

/* Strings and bytes: a table, and behind it what it points to. */
static void fill_table(const struct map_job *job, size_t first, size_t n, weft_bytes *table,
                       char *data)
{
    struct argument argument;
    for (size_t i = 0; i < n; i++) {
        (void)map_parse_item(job->pool, job->fn, job->spec, first + i, &argument); /* was checked */
        table[i] = (weft_bytes){ data, argument.size };
        if (argument.size)
            memcpy(data, argument.bytes, argument.size);
        data[argument.size] = '\0';
        data += (argument.size + 16) & ~(size_t)15;
    }
}

static void fill_items(const struct map_job *job, struct batch *batch, char *memory, size_t first,
                       const struct map_layout *layout)
{
    const weft_map *spec = job->spec;
    batch->args = NULL;
    batch->arg_bytes = map_is_word(spec->in_bytes) ? 0 : spec->in_bytes;
    if (!spec->in)
        return;
    const char *items = (const char *)spec->in + first * map_stride(spec->in_bytes);
    batch->args = memory + layout->items_at;
    if (fixed_items(spec) && is_shared(spec->in)) {
        batch->args = (char *)items;
    } else if (fixed_items(spec)) {
        memcpy(batch->args, items, layout->n * spec->in_bytes);
    } else if (spec->in_bytes == WEFT_POINTER) {
        batch->flags |= BATCH_POINTERS;
        memcpy(batch->args, items, layout->n * sizeof(void *));
    } else {
        batch->flags |= BATCH_TABLE;
        fill_table(job, first, layout->n, (weft_bytes *)(void *)batch->args,
                   memory + layout->data_at);
    }
}

static void fill_results(const struct map_job *job, struct assignment *what, struct batch *batch,
                         char *memory, const struct map_layout *layout)
{
    const weft_map *spec = job->spec;
    batch->rets = batch->out = NULL;
    batch->ret_bytes = batch->out_bytes = 0;
    if (map_fixed_results(spec)) {
        bool in_place = is_shared(spec->out);
        batch->flags |= in_place ? BATCH_KEEP : 0;
        batch->ret_bytes = spec->out_bytes;
        batch->rets = in_place ? map_result(spec, what->first) : memory + layout->rets_at;
    } else {
        batch->out = memory + layout->rets_at;
        batch->out_bytes = layout->bytes - layout->rets_at;
    }
    what->rets = batch->rets;
}

void map_fill(const struct map_job *job, struct assignment *what, struct batch *batch, char *memory,
              const struct map_layout *layout)
{
    batch->log = what->log = (struct entry *)(void *)memory;
    fill_items(job, batch, memory, what->first, layout);
    fill_results(job, what, batch, memory, layout);
}
