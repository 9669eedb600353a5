/* SPDX-License-Identifier: MIT */
/* A result that no transfer gave: a failure and its reason. */
#ifndef FETCH_VERDICT_H
#define FETCH_VERDICT_H

#include "transfer.h"

union verdict {
    struct result result;
    char bytes[sizeof(struct result) + REASON_MAX + 2]; /* the other two strings are empty */
};

void verdict_make(union verdict *verdict, enum failure failure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
