/* SPDX-License-Identifier: MIT */
#include "results.h"

#include <stdlib.h>

static const struct {
    const char *name, *title;
} loads[LAB_LOADS] = {
    [LAB_IO] = { "io", "I/O-bound" },
    [LAB_CPU] = { "cpu", "CPU-bound" },
    [LAB_MIXED] = { "mixed", "Mixed" },
    [LAB_CHANGING] = { "changing", "Changing" },
};

const char *lab_load_name(enum lab_load load)
{
    return loads[load].name;
}

const char *lab_load_title(enum lab_load load)
{
    return loads[load].title;
}

void lab_results_release(struct lab_results *results)
{
    for (size_t i = 0; i < results->timeline_count; i++)
        free(results->timelines[i].spans);
    free(results->timelines);
    free(results->rows);
    *results = (struct lab_results){ 0 };
}
