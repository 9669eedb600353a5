/* SPDX-License-Identifier: MIT */
/* JSON by libjansson, as all of the lab writes it. */
#ifndef LAB_JSON_OUT_H
#define LAB_JSON_OUT_H

#include <jansson.h>
#include <stdio.h>

/* A text; bytes that are not UTF-8 become "?". */
json_t *json_out_text(const char *bytes);

/* The same; empty or NULL: null. */
json_t *json_out_text_or_null(const char *bytes);

/* Writes the object, which it frees, and a newline.
 * Returns 0; -ENOMEM, as it is NULL; -errno: it could not be written. */
int json_out_write(json_t *object, FILE *to);

#endif
