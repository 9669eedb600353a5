/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

uint64_t base_number_in(const char *path, const char *word)
{
    char line[256];
    uint64_t number = UINT64_MAX;
    size_t n = strlen(word);
    FILE *file = fopen(path, "re");
    while (file && number == UINT64_MAX && fgets(line, sizeof line, file)) {
        const char *rest = line + n;
        if (strncmp(line, word, n) != 0)
            continue;
        rest += strspn(rest, " \t");
        if (*rest >= '0' && *rest <= '9')
            number = strtoull(rest, NULL, 10);
    }
    if (file)
        fclose(file);
    return number;
}
