/* SPDX-License-Identifier: MIT */
/* A list of URLs, for the fetchers that are written by hand. */
#ifndef BENCH_FETCH_URLS_H
#define BENCH_FETCH_URLS_H

#include <stddef.h>

struct urls {
    char **list;
    size_t count;
};

/* Reads a file with one URL a line. It is kept until the program ends. */
struct urls urls_read(const char *path);

#endif
