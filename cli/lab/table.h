/* SPDX-License-Identifier: MIT */
/* The results as text. */
#ifndef LAB_TABLE_H
#define LAB_TABLE_H

#include <stdio.h>

#include "results.h"

void lab_table_print(FILE *to, const struct lab_results *results);

#endif
