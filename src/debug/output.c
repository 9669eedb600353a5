/* SPDX-License-Identifier: MIT */
/*
 * debug/output.c: an array of JSON that grows, and is closed all the time.
 *
 *     [ event , event , event ] <- each flush writes over the bracket: more events, and a new one
 *
 * So the file is good JSON whenever nobody is just writing to it, whoever is killed. When it cannot
 * be written to any more (the disk is full), it is cut after the last flush that went through.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "debug/output.h"

static const char tail[] = "\n]\n";

enum { TAIL = sizeof tail - 1, RESERVE = 4096 };

void output_init(struct output *output, int fd, uint64_t bytes_max)
{
    output->fd = fd;
    output->error = 0;
    output->bytes_max = bytes_max;
    output->offset = output->cut = 0;
    output->events = output->n = 0;
    output_text(output, "[");
}

void output_begin(struct output *output)
{
    output->began = output->n;
    output_text(output, output->events ? ",\n" : "\n");
}

static void put(struct output *output, char c)
{
    if (output->n < sizeof output->buffer - TAIL)
        output->buffer[output->n++] = c;
}

void output_text(struct output *output, const char *text)
{
    while (*text)
        put(output, *text++);
}

static void put_digits(struct output *output, uint64_t number, unsigned base, unsigned least)
{
    char digits[24];
    unsigned n = 0;
    do
        digits[n++] = "0123456789abcdef"[number % base];
    while ((number /= base) || n < least);
    while (n)
        put(output, digits[--n]);
}

void output_number(struct output *output, int64_t number)
{
    if (number < 0)
        put(output, '-');
    put_digits(output, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10, 1);
}

void output_hex(struct output *output, uint64_t number)
{
    output_text(output, "\"0x");
    put_digits(output, number, 16, 1);
    put(output, '"');
}

void output_us(struct output *output, int64_t ns)
{
    uint64_t all = ns < 0 ? 0 : (uint64_t)ns; /* what began before the trace began with it */
    put_digits(output, all / 1000, 10, 1);
    put(output, '.');
    put_digits(output, all % 1000, 10, 3);
}

/* How many bytes from here on are one character of UTF-8 that is not ASCII; 0: none are. */
static unsigned wide_character(const unsigned char *at)
{
    unsigned n = at[0] >= 0xF0 && at[0] <= 0xF4 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    if (at[0] < 0xC2 || at[0] > 0xF4)
        return 0;
    for (unsigned i = 1; i < n; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    bool too_short = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90);
    bool surrogate = at[0] == 0xED && at[1] >= 0xA0;
    bool too_large = at[0] == 0xF4 && at[1] >= 0x90;
    return too_short || surrogate || too_large ? 0 : n;
}

void output_quoted(struct output *output, const char *text)
{
    put(output, '"');
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        unsigned n = *at < 0x80 ? 1 : wide_character(at);
        if (n == 1 && (*at == '"' || *at == '\\'))
            put(output, '\\');
        if (n == 0 || *at < ' ')
            put(output, '?');
        for (unsigned i = 0; i < n && *at >= ' '; i++)
            put(output, (char)at[i]);
        at += n ? n : 1;
    }
    put(output, '"');
}

void output_end(struct output *output, bool may_exceed)
{
    uint64_t length = output->offset + output->n + TAIL;
    if (output->error || (!may_exceed && length + RESERVE > output->bytes_max)) {
        output->n = output->began;
        output->cut++;
        return;
    }
    output->events++;
    if (output->n + OUTPUT_EVENT_MAX > sizeof output->buffer)
        output_flush(output);
}

/* Writes all of it. Returns 0, or errno: the file does not take it. */
static int write_all(int fd, const char *bytes, size_t n, uint64_t offset)
{
    while (n) {
        ssize_t written = pwrite(fd, bytes, n, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : ENOSPC;
        bytes += written;
        offset += (uint64_t)written;
        n -= (size_t)written;
    }
    return 0;
}

void output_flush(struct output *output)
{
    if (!output->n || output->error)
        return;
    memcpy(output->buffer + output->n, tail, TAIL);
    output->error = write_all(output->fd, output->buffer, output->n + TAIL, output->offset);
    if (!output->error) {
        output->offset += output->n;
    } else {
        (void)!ftruncate(output->fd, (off_t)output->offset);
        (void)write_all(output->fd, tail, TAIL, output->offset);
    }
    output->n = 0;
}
