/* SPDX-License-Identifier: MIT */
/* The queue benchmark with weft_queue. */
#include "harness/harness.h"
#include "queue/item.h"

#include <weft.h>

static weft_queue *queue;

static void queue_open(size_t items_max)
{
    bench_must(weft_queue_open(&queue, sizeof(struct item), items_max, 0) == 0, "weft_queue_open");
}

static inline void queue_put(const struct item *item)
{
    bench_must(weft_queue_put(queue, item, WEFT_FOREVER) == 0, "weft_queue_put");
}

static inline bool queue_get(struct item *item)
{
    return weft_queue_get(queue, item, WEFT_FOREVER) == 0;
}

static void queue_shutdown(void)
{
    weft_queue_shutdown(queue, false);
}

static void queue_close(void)
{
    weft_queue_close(queue);
}

#include "queue/body.h"
