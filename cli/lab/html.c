/* SPDX-License-Identifier: MIT */
/* Text inside markup.
 *
 * A page shows what others wrote: the name of a CPU, an explanation, a title. Escaping must not be
 * something that each line of the page remembers to do, so the one function that prints formatted
 * markup escapes whatever comes by %s. Markup stands in formats, which are constants, and nowhere
 * else.
 */
#include "html.h"

#include "utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

enum { CONVERSION_BYTES = 16 };

static const char *entity(char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void html_text(FILE *to, const char *text)
{
    while (*text != '\0') {
        size_t bytes = utf8_printable(text);
        const char *instead = bytes == 0 ? REPLACEMENT : entity(*text);
        if (instead != NULL)
            fputs(instead, to);
        else
            fwrite(text, 1, bytes, to);
        text += bytes > 0 ? bytes : 1;
    }
}

/* One conversion; its last letters say what is taken from the arguments. */
static void convert(FILE *to, const char *conversion, size_t length, va_list *args)
{
    char last = conversion[length - 1], before = conversion[length - 2];

    if (last == '%')
        fputc('%', to);
    else if (last == 's')
        html_text(to, va_arg(*args, const char *));
    else if (strchr("fg", last) != NULL)
        fprintf(to, conversion, va_arg(*args, double));
    else if (before == 'z')
        fprintf(to, conversion, va_arg(*args, size_t));
    else if (before == 'l' && conversion[length - 3] == 'l')
        fprintf(to, conversion, va_arg(*args, long long));
    else if (before == 'l')
        fprintf(to, conversion, va_arg(*args, long));
    else
        fprintf(to, conversion, va_arg(*args, int));
}

void html(FILE *to, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (const char *percent; (percent = strchr(format, '%')) != NULL;) {
        char conversion[CONVERSION_BYTES] = "";
        size_t length = 1 + strcspn(percent + 1, "sdiuxfg%") + 1;
        assert(length < sizeof conversion);
        fwrite(format, 1, (size_t)(percent - format), to);
        memcpy(conversion, percent, length);
        convert(to, conversion, length, &args);
        format = percent + length;
    }
    va_end(args);
    fputs(format, to);
}

const char *html_count(char buffer[HTML_NUMBER_BYTES], unsigned long long number)
{
    char *to = buffer + HTML_NUMBER_BYTES - 1;
    int digits = 0;

    *to = '\0';
    do {
        if (digits > 0 && digits % 3 == 0)
            *--to = ',';
        *--to = (char)('0' + number % 10);
        digits++;
    } while ((number /= 10) > 0);
    return to;
}

const char *html_number(char buffer[HTML_NUMBER_BYTES], double number)
{
    if (!(number >= 0))
        return "–";
    lab_format_rate(buffer, number);
    return buffer;
}
