/* SPDX-License-Identifier: MIT */
/*
 * debug/events.c: records as events of the Chrome trace format ("Trace Event Format", Google 2016),
 * which Perfetto and chrome://tracing open.
 *
 *   M  process_name, thread_name   a process of the program; a strand: its track
 *   X                              a call, or a wait, with its time and how long it took
 *   C                              how much a thread counted that is not shown
 *   i                              the end of the trace, and what it lacks
 */
#include <errno.h>

#include <weft/base.h>

#include "debug/events.h"
#include "park/trace.h"

static void key(struct output *output, const char *name)
{
    output_text(output, ",\"");
    output_text(output, name);
    output_text(output, "\":");
}

static void number(struct output *output, const char *name, int64_t value)
{
    key(output, name);
    output_number(output, value);
}

static void quoted(struct output *output, const char *name, const char *text)
{
    key(output, name);
    output_quoted(output, text);
}

static void begin(struct output *output, char phase, const struct author *author, uint64_t strand)
{
    const char text[] = { phase, '\0' };
    output_begin(output);
    output_text(output, "{\"ph\":\"");
    output_text(output, text);
    output_text(output, "\"");
    number(output, "pid", author->process);
    number(output, "tid", (int64_t)strand);
}

static void name_something(struct events *events, const struct author *author, uint64_t strand,
                           const char *what, const char *name)
{
    struct output *output = &events->output;
    begin(output, 'M', author, strand);
    quoted(output, "name", what);
    output_text(output, ",\"args\":{\"name\":");
    output_quoted(output, name);
    output_text(output, "}}");
    output_end(output, false);
}

void event_process(struct events *events, const struct author *author, const char *name)
{
    name_something(events, author, 0, "process_name", name);
}

void event_strand(struct events *events, const struct author *author, const struct record *record)
{
    name_something(events, author, record->strand, "thread_name", record->words);
}

static void put_times(struct output *output, const struct author *author,
                      const struct record *record)
{
    int64_t began = record->span.began_ns - author->base_ns;
    began = began < 0 ? 0 : began;
    key(output, "ts");
    output_us(output, began);
    key(output, "dur");
    output_us(output, record->span.ended_ns - author->base_ns - began);
}

static void put_outcome(struct output *output, const struct record *record, bool ended)
{
    int status = record->status;
    bool slept = (unsigned)record->purpose << PARK_PURPOSE_SHIFT == PARK_FOR_SLEEP;
    if (slept && status == -ETIMEDOUT)
        status = 0; /* which is what it was for */
    if (!ended) {
        quoted(output, "how", "unfinished");
    } else if (status >= 0) {
        quoted(output, "how", record->is_wait ? "woken" : "done");
    } else if (status == -ECANCELED) {
        quoted(output, "how", "cancelled");
    } else if (record->is_wait && status == -ETIMEDOUT) {
        quoted(output, "how", "timed out");
    } else {
        quoted(output, "how", "failed");
        quoted(output, "error", weft_strerror(status));
    }
    if (!record->is_wait && ended)
        number(output, "status", status);
    if (record->about)
        number(output, "about", 1);
}

static void begin_arguments(struct output *output, const struct author *author)
{
    output_text(output, ",\"args\":{\"thread\":");
    output_number(output, author->thread);
}

static void put_call(struct events *events, const struct author *author,
                     const struct record *record)
{
    struct output *output = &events->output;
    quoted(output, "cat", "call");
    quoted(output, "name",
           symbol_name(&events->symbols, record->span.what, (pid_t)author->program,
                       record->elsewhere ? (pid_t)author->process : 0));
    begin_arguments(output, author);
    number(output, "index", (int64_t)record->span.index);
    if (record->attempt > 1)
        number(output, "attempt", record->attempt);
    if (record->worker != RECORD_NOBODY)
        number(output, "worker", record->worker);
}

/* What a wait's object is, and how it is told. */
static void put_object(struct output *output, const struct record *record)
{
    switch ((unsigned)record->purpose << PARK_PURPOSE_SHIFT) {
    case PARK_FOR_READ:
    case PARK_FOR_WRITE:
    case PARK_FOR_ACCEPT:
    case PARK_FOR_CONNECT:
    case PARK_FOR_DESCRIPTOR:
    case PARK_FOR_FILE:
        number(output, "fd", (int64_t)record->span.what);
        break;
    case PARK_FOR_CHILD:
        number(output, "pid", (int64_t)record->span.what);
        break;
    default:
        if (!record->span.what)
            break;
        key(output, "object");
        output_hex(output, record->span.what);
    }
}

static void put_wait(struct output *output, const struct author *author,
                     const struct record *record)
{
    const char *what = trace_wait_name((unsigned)record->purpose << PARK_PURPOSE_SHIFT);
    quoted(output, "cat", "wait");
    output_text(output, ",\"name\":\"wait ");
    output_text(output, what);
    output_text(output, "\"");
    begin_arguments(output, author);
    put_object(output, record);
}

void event_span(struct events *events, const struct author *author, const struct record *record,
                bool ended)
{
    struct output *output = &events->output;
    begin(output, 'X', author, record->strand);
    put_times(output, author, record);
    if (record->is_wait)
        put_wait(output, author, record);
    else
        put_call(events, author, record);
    if (record->cpus[0] != RECORD_NOBODY)
        number(output, "cpu", record->cpus[0]);
    if (ended)
        number(output, "cpu_at_end", record->cpus[1]);
    put_outcome(output, record, ended);
    output_text(output, "}}");
    output_end(output, false);
    events->spans++;
}

void event_folded(struct events *events, const struct author *author, int64_t now_ns,
                  uint64_t calls, uint64_t waits)
{
    struct output *output = &events->output;
    begin(output, 'C', author, 0);
    key(output, "ts");
    output_us(output, now_ns - author->base_ns);
    output_text(output, ",\"name\":\"counted only, thread ");
    output_number(output, author->thread);
    output_text(output, "\",\"args\":{\"calls\":");
    output_number(output, (int64_t)calls);
    number(output, "waits", (int64_t)waits);
    output_text(output, "}}");
    output_end(output, false);
}

void event_end(struct events *events, const struct author *author, int64_t now_ns,
               const struct missing *missing)
{
    struct output *output = &events->output;
    uint64_t cut = output->cut;
    begin(output, 'i', author, 0);
    key(output, "ts");
    output_us(output, now_ns - author->base_ns);
    output_text(output, ",\"s\":\"g\",\"name\":\"end of the trace\",\"args\":{\"spans\":");
    output_number(output, (int64_t)events->spans);
    number(output, "counted_calls", (int64_t)missing->folded_calls);
    number(output, "counted_waits", (int64_t)missing->folded_waits);
    number(output, "lost", (int64_t)(missing->lost + missing->homeless));
    number(output, "cut", (int64_t)cut);
    output_text(output, "}}");
    output_end(output, true);
    output_flush(output);
}
