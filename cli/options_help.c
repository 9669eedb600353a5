/* SPDX-License-Identifier: MIT */
/* The --help text of a table of options, wrapped at 80 columns: options on the left, what they do
 * from column 28 on. */
#include "options_help.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "values.h"

enum { WIDTH = 80, HELP_COLUMN = 28, HELP_TEXT_MAX = 1024 };

/* Prints words from column `at` on and wraps them, later lines starting at column `indent`. */
static void print_wrapped(const char *text, size_t at, size_t indent)
{
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        bool first = at == indent;
        if (!first && at + 1 + word > WIDTH) {
            printf("\n%*s", (int)indent, "");
            at = indent;
            first = true;
        }
        printf("%s%.*s", first ? "" : " ", (int)word, text);
        at += word + (first ? 0 : 1);
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

void option_number_format(const struct option_spec *spec, uint64_t n, char *text, size_t text_size)
{
    if (spec->type == OPTION_SIZE)
        value_size_format(text, text_size, n);
    else if (spec->type == OPTION_DURATION)
        value_duration_format(text, text_size, (int64_t)n);
    else
        snprintf(text, text_size, "%" PRIu64, n);
}

/* " (default: 50ms)", or nothing where there is no default worth telling. */
static void default_format(const struct option_spec *spec, char *text, size_t text_size)
{
    char number[VALUE_TEXT_MAX];
    const char *value = NULL;
    uint64_t n;

    switch (spec->type) {
    case OPTION_FLAG:
    case OPTION_LIST:
        break;
    case OPTION_STRING:
        value = *spec->to.text;
        break;
    case OPTION_CHOICE:
        value = spec->choices[*spec->to.choice];
        break;
    default:
        n = spec->type == OPTION_DURATION ? (uint64_t)*spec->to.ns : *spec->to.count;
        option_number_format(spec, n, number, sizeof number);
        if (n >= spec->min) /* a preset that nobody may give only means "not given" */
            value = number;
    }
    text[0] = '\0';
    if (value != NULL)
        snprintf(text, text_size, " (default: %s)", value);
}

static void print_row(char letter, const char *name, const char *argument, const char *help)
{
    int at = letter != 0 ? printf("  -%c, --%s", letter, name) : printf("      --%s", name);

    if (argument != NULL)
        at += printf(" %s", argument);
    if (at + 2 > HELP_COLUMN) {
        putchar('\n');
        at = 0;
    }
    printf("%*s", HELP_COLUMN - at, "");
    print_wrapped(help, HELP_COLUMN, HELP_COLUMN);
}

static void print_spec(const struct option_spec *spec)
{
    char help[HELP_TEXT_MAX];
    char preset[HELP_TEXT_MAX / 2];

    default_format(spec, preset, sizeof preset);
    snprintf(help, sizeof help, "%s%s", spec->help, preset);
    print_row(spec->letter, spec->name, spec->argument, help);
}

void options_print_help(const struct options *options)
{
    printf("Usage: %s %s\n\n", options->command, options->synopsis);
    print_wrapped(options->about, 0, 0);
    printf("\nOptions:\n");
    for (size_t i = 0; i < options->count; i++)
        print_spec(&options->specs[i]);
    print_row('h', "help", NULL, "show this help and exit");
    if (options->more != NULL)
        printf("\n%s", options->more);
}
