/* SPDX-License-Identifier: MIT */
/* The shared-memory benchmark with calloc(): memory of one process only, from per-thread caches. */
#include <stdlib.h>

#define ALLOC(bytes) calloc(1, bytes)
#define FREE(block)  free(block)
#include "shared/body.h"

int main(int argc, char **argv)
{
    return measure(argc, argv);
}
