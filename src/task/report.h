/* SPDX-License-Identifier: MIT */
/*
 * task/report.h: a line on standard error about a task, most often before the program aborts.
 * Signal-safe, so with its own formatting.
 */
#ifndef WEFT_TASK_REPORT_H
#define WEFT_TASK_REPORT_H

#include <stddef.h>
#include <stdint.h>

struct task;

/* Begins zeroed; what does not fit is cut. */
struct report {
    char text[256];
    size_t n;
};

/* "weft: the task NAME" */
void report_task(struct report *report, const struct task *task);
void report_text(struct report *report, const char *text);
void report_number(struct report *report, uint64_t number);

/* Writes the line, which ends with "\n"; and aborts. */
void report_write(const struct report *report);
__attribute__((noreturn)) void report_and_abort(const struct report *report);

#endif
