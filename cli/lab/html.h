/* SPDX-License-Identifier: MIT */
/* Writing HTML and SVG without ever writing markup that came from elsewhere. */
#ifndef LAB_HTML_H
#define LAB_HTML_H

#include <stdio.h>

#include "format.h"

/* Prints as fprintf() does, but what %s inserts is text: '<', '>', '&' and quotes in it become
 * entities, and bytes that are no UTF-8, or no character of HTML, U+FFFD. So it may stand between
 * tags and inside a quoted attribute. Conversions without '*', '$' and %n; strings without a
 * width. */
void html(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints text likewise, all of it. */
void html_text(FILE *to, const char *text);

/* A number as lab_format_rate() writes it; what is none, or negative, is a dash. */
enum { HTML_NUMBER_BYTES = LAB_NUMBER_BYTES };
const char *html_number(char buffer[HTML_NUMBER_BYTES], double number);

/* All digits of a whole number, in groups of three. */
const char *html_count(char buffer[HTML_NUMBER_BYTES], unsigned long long number);

#endif
