/* SPDX-License-Identifier: MIT */
/* process/shared.h: the range of memory that all processes of the program share. */
#ifndef WEFT_PROCESS_SHARED_H
#define WEFT_PROCESS_SHARED_H

#include <stddef.h>

/* Maps the range. Before the zygote is forked. Returns 0; -ENOMEM, -EMFILE and what else
 * memfd_create() returns. */
int shared_open(void);

/* Undoes it, when weft_init() fails further on. */
void shared_close(void);

/* weft_shared_alloc() for those who write before they read: the memory holds anything. */
void *shared_alloc_dirty(size_t bytes);

#endif
