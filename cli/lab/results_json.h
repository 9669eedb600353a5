/* SPDX-License-Identifier: MIT */
/* The results as JSON; docs/lab.md describes it. */
#ifndef LAB_RESULTS_JSON_H
#define LAB_RESULTS_JSON_H

#include <stdio.h>

#include "results.h"

/* Returns 0; -ENOMEM; -errno: it could not be written. */
int lab_json_write(const struct lab_results *results, FILE *to);

#endif
