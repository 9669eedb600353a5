/* SPDX-License-Identifier: MIT */
/* Short runs whose workers write down what they did. */
#ifndef LAB_TIMELINE_H
#define LAB_TIMELINE_H

#include "run.h"
#include "settings.h"

/* Records those of the timelines whose load, kind and GIL were asked for.
 * Returns 0; -ECANCELED; -errno, with words in *trouble. What was recorded until then is in the
 * results. */
int lab_timelines_record(const struct lab_settings *settings, const struct lab_bench *bench,
                         struct lab_results *results, struct lab_trouble *trouble);

#endif
