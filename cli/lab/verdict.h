/* SPDX-License-Identifier: MIT */
/* What follows from the rows: who wins, and why. */
#ifndef LAB_VERDICT_H
#define LAB_VERDICT_H

#include "results.h"

/* Writes a verdict for each load that has rows, in their order; a pure function of them. Returns
 * how many. */
size_t lab_judge(const struct lab_row *rows, size_t count, const struct lab_machine *machine,
                 struct lab_verdict verdicts[LAB_LOADS]);

/* Whether two rows differ: by more than 3 %, and their intervals do not overlap. (That of a single
 * run is taken to be 10 %.) By more than 10 % they are never said to be alike, whatever the
 * intervals: not to know is not to be equal. */
bool lab_rows_differ(const struct lab_row *a, const struct lab_row *b);

#endif
