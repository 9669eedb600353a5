/* SPDX-License-Identifier: MIT */
/* What follows from the rows: who wins, and why. */
#ifndef LAB_VERDICT_H
#define LAB_VERDICT_H

#include "results.h"

/* Writes a verdict for each load that has rows, in their order; a pure function of them. Returns
 * how many. */
size_t lab_judge(const struct lab_row *rows, size_t count, const struct lab_machine *machine,
                 struct lab_verdict verdicts[LAB_LOADS]);

/* Whether two rows are known to differ: by more than 3 %, and their intervals do not overlap. (A
 * single run has no interval; then it must be more than 10 %.) */
bool lab_rows_differ(const struct lab_row *a, const struct lab_row *b);

#endif
