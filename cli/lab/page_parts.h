/* SPDX-License-Identifier: MIT */
/* The parts of the page, a file for each. */
#ifndef LAB_PAGE_PARTS_H
#define LAB_PAGE_PARTS_H

#include <stdio.h>

#include "html.h"
#include "results.h"

/* From the doctype to the verdicts at a glance, and what follows all else. */
void page_begin(FILE *to, const struct lab_results *results);
void page_style(FILE *to);
void page_end(FILE *to, const struct lab_results *results);

/* A load: its verdict, its plot, its table. Nothing if its measuring did not begin. */
void page_load(FILE *to, const struct lab_results *results, enum lab_load load);
void page_plot(FILE *to, const struct lab_results *results, enum lab_load load);
void page_table(FILE *to, const struct lab_results *results, enum lab_load load);

/* The figures of a row as data- attributes, by the names that they have in the JSON, so that a test
 * need not read what is rounded. */
void page_data(FILE *to, const struct lab_row *row);

void page_race(FILE *to, const struct lab_race *race);

/* Returns 0 or -ENOMEM. */
int page_timelines(FILE *to, const struct lab_results *results);

/* A load's winner, and its serial row without a GIL, which the others are compared with. NULL if
 * there is none. */
const struct lab_row *page_best(const struct lab_results *results, enum lab_load load);
const struct lab_row *page_serial(const struct lab_results *results, enum lab_load load);

/* How many times as fast as the serial row one is; a dash if there is none. */
const char *page_times(char buffer[HTML_NUMBER_BYTES], const struct lab_row *row,
                       const struct lab_row *serial);

/* The next round number, 1, 2 or 5 times a power of ten, that is at least that: from one mark of an
 * axis to the next. */
double page_step(double about);

/* One of a kind's workers: "thread". */
const char *page_worker_name(weft_kind kind);

#endif
