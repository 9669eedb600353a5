/* SPDX-License-Identifier: MIT */
/* The results as one JSON object, by libjansson; docs/lab.md describes it. Numbers are not rounded.
 * What is not known is null; nothing is left out. */
#include "results_json.h"

#include "json_out.h"

static json_t *machine_of(const struct lab_machine *machine)
{
    return json_pack("{s:o, s:o, s:I, s:o, s:I}", "cpu", json_out_text_or_null(machine->cpu),
                     "kernel", json_out_text_or_null(machine->kernel), "cpus",
                     (json_int_t)machine->cpus, "quota",
                     machine->quota > 0 ? json_real(machine->quota) : json_null(), "memory_bytes",
                     (json_int_t)machine->memory_bytes);
}

static json_t *row_of(const struct lab_row *row)
{
    bool known = row->runs > 1;

    return json_pack("{s:s, s:s, s:I, s:b, s:I, s:f, s:o, s:o, s:f, s:f, s:o, s:b, s:o}", "load",
                     lab_load_name(row->load), "kind", weft_kind_name(row->kind), "workers",
                     (json_int_t)row->workers, "gil", (int)row->gil, "runs", (json_int_t)row->runs,
                     "rate", row->rate, "low", known ? json_real(row->low) : json_null(), "high",
                     known ? json_real(row->high) : json_null(), "cpus", row->cpus, "waiting",
                     row->waiting, "call_waits",
                     row->call_waits >= 0 ? json_real(row->call_waits) : json_null(), "tight",
                     (int)row->tight, "explain", json_out_text_or_null(row->explain));
}

static json_t *verdict_of(const struct lab_verdict *verdict)
{
    return json_pack("{s:s, s:I, s:o}", "load", lab_load_name(verdict->load), "best",
                     (json_int_t)verdict->best, "text", json_out_text_or_null(verdict->text));
}

static json_t *span_of(const struct lab_span *span)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:b}", "worker", (json_int_t)span->worker, "cpu",
                     (json_int_t)span->cpu, "begin_ns", (json_int_t)span->begin_ns, "end_ns",
                     (json_int_t)span->end_ns, "waiting", (int)span->waiting);
}

static json_t *timeline_of(const struct lab_timeline *timeline)
{
    json_t *spans = json_array();

    for (size_t i = 0; i < timeline->span_count; i++)
        json_array_append_new(spans, span_of(&timeline->spans[i]));
    return json_pack("{s:o, s:s, s:s, s:I, s:I, s:b, s:I, s:o}", "title",
                     json_out_text_or_null(timeline->title), "load", lab_load_name(timeline->load),
                     "kind", weft_kind_name(timeline->kind), "workers",
                     (json_int_t)timeline->workers, "cpus", (json_int_t)timeline->cpus, "gil",
                     (int)timeline->gil, "wall_ns", (json_int_t)timeline->wall_ns, "spans", spans);
}

static json_t *race_of(const struct lab_race *race)
{
    if (race->threads == 0)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:I}", "threads", (json_int_t)race->threads,
                     "expected", (json_int_t)race->expected, "unlocked", (json_int_t)race->unlocked,
                     "locked", (json_int_t)race->locked, "unlocked_ns", race->unlocked_ns,
                     "locked_ns", race->locked_ns, "tries", (json_int_t)race->tries);
}

static json_t *object_of(const struct lab_results *results)
{
    json_t *rows = json_array();
    json_t *verdicts = json_array();
    json_t *timelines = json_array();

    for (size_t i = 0; i < results->row_count; i++)
        json_array_append_new(rows, row_of(&results->rows[i]));
    for (size_t i = 0; i < results->verdict_count; i++)
        json_array_append_new(verdicts, verdict_of(&results->verdicts[i]));
    for (size_t i = 0; i < results->timeline_count; i++)
        json_array_append_new(timelines, timeline_of(&results->timelines[i]));
    return json_pack("{s:s, s:s, s:f, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
                     results->version, "date", results->date, "seconds", results->seconds, "cut",
                     (int)results->cut, "interrupted", (int)results->interrupted, "others",
                     results->others >= 0 ? json_real(results->others) : json_null(), "machine",
                     machine_of(&results->machine), "rows", rows, "verdicts", verdicts, "timelines",
                     timelines, "race", race_of(&results->race));
}

int lab_json_write(const struct lab_results *results, FILE *to)
{
    return json_out_write(object_of(results), to);
}
