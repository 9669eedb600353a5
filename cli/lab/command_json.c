/* SPDX-License-Identifier: MIT */
/* What was found about a command as a JSON object, by libjansson: nothing is rounded, what is not
 * known is null. */
#include "command_print.h"

#include "json_out.h"

#include <math.h>

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *command_of(char *const *words)
{
    json_t *array = json_array();

    for (size_t i = 0; words[i] != NULL; i++)
        json_array_append_new(array, json_out_text(words[i]));
    return array;
}

static void put(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *degree_of(const struct command_degree *degree)
{
    json_t *object = json_object();

    put(object, "jobs", json_integer(degree->jobs));
    put(object, "rounds", json_integer((json_int_t)degree->rounds));
    put(object, "runs", json_integer((json_int_t)degree->runs));
    put(object, "failed", json_integer((json_int_t)degree->failed));
    put(object, "rate", real(degree->rate));
    put(object, "low", real(degree->low));
    put(object, "high", real(degree->high));
    put(object, "wall_s", real(degree->wall_s));
    put(object, "cpu_s", real(degree->cpu_s));
    put(object, "queued_s", real(degree->queued_s));
    put(object, "major_faults", real(degree->major_faults));
    put(object, "disk_bytes", real(degree->disk_bytes));
    put(object, "blocked", real(degree->blocked));
    put(object, "preempted", real(degree->preempted));
    put(object, "cpu_pressure", real(degree->cpu_pressure));
    put(object, "io_pressure", real(degree->io_pressure));
    return object;
}

static json_t *degrees_of(const struct command_search *search)
{
    json_t *array = json_array();

    for (size_t i = 0; i < search->count; i++)
        json_array_append_new(array, degree_of(&search->degrees[i]));
    return array;
}

static json_t *verdict_of(const struct command_report *report)
{
    const struct command_verdict *verdict = &report->verdict;

    if (report->search->count == 0 || report->search->failing)
        return json_null();
    json_t *object = json_object();
    put(object, "class", json_string(command_class_name(verdict->class)));
    put(object, "waits_for", json_out_text_or_null(command_wait_name(verdict->wait)));
    put(object, "limit", json_string(command_limit_name(verdict->limit)));
    put(object, "jobs", json_integer(report->search->degrees[verdict->best].jobs));
    put(object, "gain", real(verdict->gain));
    put(object, "certain", json_boolean(verdict->certain));
    put(object, "crowded", json_boolean(verdict->crowded));
    put(object, "busy", real(verdict->busy));
    put(object, "queued", real(verdict->queued));
    put(object, "cpus_used", real(verdict->cpus));
    put(object, "text", json_out_text(report->text));
    return object;
}

static json_t *failure_of(const struct command_failure *failure)
{
    if (!failure->happened)
        return json_null();
    return json_pack("{s:o, s:I, s:o, s:o}", "input", json_out_text_or_null(failure->input), "line",
                     (json_int_t)failure->line, "reason", json_out_text(failure->text), "stderr",
                     json_out_text(failure->tail));
}

static json_t *inputs_of(const struct command_search *search)
{
    const struct command_inputs *inputs = search->work.inputs;
    uint64_t given = search->work.given;
    uint64_t count = inputs->count;

    if (count == 0)
        return json_null();
    return json_pack("{s:I, s:I, s:I}", "total", (json_int_t)inputs->total, "used",
                     (json_int_t)(given < count ? given : count), "times_most",
                     (json_int_t)((given + count - 1) / count));
}

static json_t *skipped_of(const struct command_search *search)
{
    if (search->skipped == 0)
        return json_null();
    return json_pack("{s:I, s:s}", "jobs", (json_int_t)search->skipped, "reason",
                     search->skipped_reason);
}

static json_t *object_of(const struct command_report *report)
{
    const struct command_search *search = report->search;
    json_t *object = json_object();

    put(object, "command", command_of(search->work.words));
    put(object, "runs", json_integer((json_int_t)search->work.given));
    put(object, "inputs", inputs_of(search));
    put(object, "seconds", real((double)search->took_ns / 1e9));
    put(object, "cpus", real(search->cpus));
    put(object, "memory_bytes", json_integer((json_int_t)search->memory_bytes));
    put(object, "interrupted", json_boolean(report->interrupted));
    put(object, "cut", json_boolean(search->cut));
    put(object, "cold", json_boolean(search->cold));
    put(object, "failing", json_boolean(search->failing));
    put(object, "unrepeatable", json_boolean(search->unrepeatable));
    put(object, "not_tried", skipped_of(search));
    put(object, "degrees", degrees_of(search));
    put(object, "verdict", verdict_of(report));
    put(object, "failure", failure_of(&search->work.failure));
    return object;
}

int command_json_write(const struct command_report *report, FILE *to)
{
    return json_out_write(object_of(report), to);
}
