/* SPDX-License-Identifier: MIT */
/* A result that no transfer gave: a failure and its reason. */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void verdict_make(union verdict *verdict, enum failure failure, const char *format, ...)
{
    va_list args;

    memset(verdict, 0, sizeof *verdict);
    va_start(args, format);
    vsnprintf(verdict->result.strings, REASON_MAX, format, args);
    va_end(args);
    verdict->result.failure = failure;
    verdict->result.reason_bytes = (uint32_t)strlen(verdict->result.strings) + 1;
    verdict->result.final_url_bytes = verdict->result.file_bytes = 1;
}
