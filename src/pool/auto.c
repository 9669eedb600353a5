/* SPDX-License-Identifier: MIT */
/* pool/auto.c: pools of kind auto. */
#include <stddef.h>

#include "pool/auto.h"

const char *auto_isolates(const weft_options *options)
{
    return options->call_timeout_ns    ? "call_timeout_ns must hold"
           : options->memory_bytes_max ? "memory_bytes_max must hold"
           : options->attempts_max > 1 ? "attempts_max asks for calls that survive crashes"
           : options->environment      ? "environment is of a process"
           : options->directory        ? "directory is of a process"
           : options->cpus             ? "cpus are of a process"
           : options->niceness         ? "niceness is of a process"
                                       : NULL;
}
