/* SPDX-License-Identifier: MIT */
/* task/report.c: a few words about a task, put together where nothing may be called. */
#include <stdlib.h>
#include <unistd.h>

#include "task/report.h"
#include "task/task.h"

void report_text(struct report *report, const char *text)
{
    for (; *text && report->n < sizeof report->text; text++)
        report->text[report->n++] = *text;
}

void report_number(struct report *report, uint64_t number)
{
    char digits[21];
    char *first = &digits[20];
    *first = '\0';
    do
        *--first = (char)('0' + number % 10);
    while (number /= 10);
    report_text(report, first);
}

static void put_name(struct report *report, const struct strand *strand)
{
    if (strand->name[0]) {
        report_text(report, strand->name);
        return;
    }
    report_text(report, strand->family ? strand->family : "strand");
    report_text(report, "-");
    report_number(report, strand->family ? strand->number : strand->id);
}

void report_task(struct report *report, const struct task *task)
{
    report_text(report, "weft: the task ");
    put_name(report, &task->strand);
}

void report_write(const struct report *report)
{
    (void)!write(STDERR_FILENO, report->text, report->n);
}

void report_and_abort(const struct report *report)
{
    report_write(report);
    abort();
}
