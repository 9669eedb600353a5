/* SPDX-License-Identifier: MIT */
#include "fetch/urls.h"

#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct urls urls_read(const char *path)
{
    struct urls urls = { NULL, 0 };
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0, room = 0;
    bench_must(file != NULL, "opening the list of URLs");
    while (getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (urls.count == room) {
            room = room ? 2 * room : 1024;
            urls.list = realloc(urls.list, room * sizeof *urls.list);
            bench_must(urls.list != NULL, "memory");
        }
        urls.list[urls.count] = strdup(line);
        bench_must(urls.list[urls.count++] != NULL, "memory");
    }
    free(line);
    fclose(file);
    return urls;
}
