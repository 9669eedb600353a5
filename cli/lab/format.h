/* SPDX-License-Identifier: MIT */
/* Numbers and sentences for people. */
#ifndef LAB_FORMAT_H
#define LAB_FORMAT_H

#include "results.h"

/* A rate: "1,180", "48", "19.8", "0.52". */
#define LAB_NUMBER_BYTES 32
void lab_format_rate(char text[LAB_NUMBER_BYTES], double rate);

/* Text that grows until the room is used up; what does not fit any more is left out. */
struct lab_text {
    char *at;
    size_t room; /* with the NUL */
};

void lab_say(struct lab_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
