/* SPDX-License-Identifier: MIT */
/* The results as one HTML page. */
#ifndef LAB_PAGE_H
#define LAB_PAGE_H

#include "results.h"

/* Writes the page to a file, replacing what it held. Returns 0 or -errno. */
int lab_page_write(const struct lab_results *results, const char *path);

#endif
