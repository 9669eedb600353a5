/* SPDX-License-Identifier: MIT */
/* Which bytes of a text are characters. */
#ifndef LAB_UTF8_H
#define LAB_UTF8_H

#include <stddef.h>

/* How many bytes the character has that begins here, 1 to 4; 0: none does, it is no UTF-8.
 * text: not at its end. */
size_t utf8_length(const char *text);

/* The same, but 0 as well for a control character that is neither a newline nor a tab. */
size_t utf8_printable(const char *text);

#endif
