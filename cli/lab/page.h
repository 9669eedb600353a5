/* SPDX-License-Identifier: MIT */
/* The results as one page of HTML. */
#ifndef LAB_PAGE_H
#define LAB_PAGE_H

#include "results.h"

/* Writes the page, which needs nothing but itself: no script, and no file from elsewhere.
 *
 * What has the name before stays until the page is complete: it is written beside it and renamed.
 * What is no plain file (/dev/stdout, a pipe) is written to; a symbolic link is followed.
 * Returns  0; -ENOMEM; -EISDIR, -ENOENT, -EACCES, -ENOSPC and whatever else opening, writing and
 *          renaming say. */
int lab_page_write(const struct lab_results *results, const char *path);

#endif
