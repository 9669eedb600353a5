/* SPDX-License-Identifier: MIT */
/* Results of the lab as a run on two CPUs might have them, made up, for tests of what shows them.
 */
#ifndef LAB_SAMPLE_H
#define LAB_SAMPLE_H

#include "lab/results.h"

/* Some texts in them are hostile: markup, quotes, and bytes that are no UTF-8. The caller releases
 * them with lab_results_release(). */
struct lab_results lab_sample(void);

#endif
