/* SPDX-License-Identifier: MIT */
/* Measures every configuration that was asked for, in rounds. */
#ifndef LAB_SURVEY_H
#define LAB_SURVEY_H

#include "progress.h"
#include "run.h"
#include "settings.h"

/* Fills in rows and cut, also when it fails on the way: what was measured until then.
 * Returns 0; -ECANCELED: the calling strand was cancelled; -errno, with words in *trouble. */
int lab_survey(const struct lab_settings *settings, const struct lab_bench *bench,
               struct progress *progress, weft_deadline deadline, struct lab_results *results,
               struct lab_trouble *trouble);

#endif
