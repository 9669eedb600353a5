/* SPDX-License-Identifier: MIT */
/* strand/options.h: options as groups and pools keep them: checked, defaults filled in, copied. */
#ifndef WEFT_STRAND_OPTIONS_H
#define WEFT_STRAND_OPTIONS_H

#include <weft/options.h>
#include <weft/time.h>

/*
 * Copies options (NULL: all defaults) with the name and the context behind its pointers.
 * Returns  0; -EINVAL, -ENOTSUP, -EFAULT, -ENOMEM as weft_group_open() says. Free by
 * options_free().
 */
int options_copy(weft_options *ret, const weft_options *options, weft_kind kind);
void options_free(weft_options *options);

/* Whether WEFT_STRICT=1 forbids lent pointers, so that a program can be tested for processes. */
bool options_strict(void);

#endif
