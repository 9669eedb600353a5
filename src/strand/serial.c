/* SPDX-License-Identifier: MIT */
/* strand/serial.c: the runner without strands: the caller runs each call at once, itself. */
#include <stdlib.h>

#include "strand/future.h"

static int start(struct runner *runner, weft_future *future, weft_deadline deadline)
{
    (void)runner;
    (void)deadline;
    future_run(future);
    return 0;
}

static void close_runner(struct runner *runner)
{
    (void)runner; /* there is only one, constant */
}

static const struct runner_ops serial_ops = { .start = start, .close = close_runner };
static struct runner serial_runner = { &serial_ops };

int serial_runner_open(struct runner **ret, const weft_options *options)
{
    (void)options;
    *ret = &serial_runner;
    return 0;
}
