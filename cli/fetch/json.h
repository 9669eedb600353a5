/* SPDX-License-Identifier: MIT */
/* A URL's ending as a JSON object. */
#ifndef FETCH_JSON_H
#define FETCH_JSON_H

#include "output.h"

/* Prints one line. */
void json_print(FILE *to, const struct ending *ending);

#endif
