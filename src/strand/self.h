/* SPDX-License-Identifier: MIT */
/* strand/self.h: what the makers of strands do to them at their beginning and end. */
#ifndef WEFT_STRAND_SELF_H
#define WEFT_STRAND_SELF_H

#include <weft/self.h>

#include "park/strand.h"

/* Names the calling strand NAME-NUMBER. */
void self_set_numbered_name(const char *name, uint64_t number);

/* Drops the calling strand's local values (local.c). */
void locals_drop(struct strand *self);

/*
 * The middle of the calling strand's stack: what runs below it has used up half. NULL: not known.
 */
const char *self_stack_middle(void);

#endif
