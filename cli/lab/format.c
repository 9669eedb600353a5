/* SPDX-License-Identifier: MIT */
#include "format.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void lab_format_rate(char text[LAB_NUMBER_BYTES], double rate)
{
    uint64_t whole = rate < 1e15 ? (uint64_t)llround(rate) : UINT64_C(1000000000000000);

    if (whole >= 1000000)
        snprintf(text, LAB_NUMBER_BYTES, "%" PRIu64 ",%03" PRIu64 ",%03" PRIu64, whole / 1000000,
                 whole / 1000 % 1000, whole % 1000);
    else if (whole >= 1000)
        snprintf(text, LAB_NUMBER_BYTES, "%" PRIu64 ",%03" PRIu64, whole / 1000, whole % 1000);
    else
        snprintf(text, LAB_NUMBER_BYTES, "%.*f", rate < 1 ? 2 : rate < 99.95 ? 1 : 0, rate);
}

void lab_say(struct lab_text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text->at, text->room, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < text->room ? (size_t)n : text->room - 1;
    text->at += used;
    text->room -= used;
}
