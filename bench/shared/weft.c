/* SPDX-License-Identifier: MIT */
/* The shared-memory benchmark with weft_shared_alloc(): memory that all processes see. */
#include <weft.h>

#define ALLOC(bytes) weft_shared_alloc(bytes)
#define FREE(block)  weft_shared_free(block)
#include "shared/body.h"

int main(int argc, char **argv)
{
    bench_must(weft_init() == 0, "weft_init");
    return measure(argc, argv);
}
