/* SPDX-License-Identifier: MIT */
/* getopt_long driven by a table.
 *
 * Each option gets two codes: its letter, and LONG_CODE + its index for the long name, so that an
 * error can name the option as the user typed it. Help is looked for in a first pass that assigns
 * nothing: the defaults that it prints are read from the settings, and it is shown even if another
 * option is wrong, which is when people ask for it. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options_help.h"
#include "values.h"

enum { LONG_CODE = 256, HELP_CODE = 'h' };

/* What getopt_long wants, built from the table. */
struct parser {
    const struct options *options;
    struct option longs[OPTIONS_MAX + 2];
    char shorts[2 * OPTIONS_MAX + 5];
};

static void build(struct parser *parser, const struct options *options)
{
    char *letter = parser->shorts;

    memset(parser, 0, sizeof *parser);
    parser->options = options;
    if (options->behind_dashes != NULL)
        *letter++ = '+'; /* ends at the first operand, and leaves all where it is */
    *letter++ = ':';     /* tells a missing value from an unknown option */
    *letter++ = HELP_CODE;
    for (size_t i = 0; i < options->count; i++) {
        const struct option_spec *spec = &options->specs[i];
        int takes = spec->type == OPTION_FLAG ? no_argument : required_argument;
        parser->longs[i] = (struct option){ spec->name, takes, NULL, LONG_CODE + (int)i };
        if (spec->letter == 0)
            continue;
        *letter++ = spec->letter;
        if (takes == required_argument)
            *letter++ = ':';
    }
    parser->longs[options->count] = (struct option){ "help", no_argument, NULL, HELP_CODE };
}

static int next_code(const struct parser *parser, int argc, char **argv)
{
    return getopt_long(argc, argv, parser->shorts, parser->longs, NULL);
}

/* optind = 0 makes glibc and musl forget an earlier parse altogether. */
static void rewind_getopt(void)
{
    optind = 0;
    opterr = 0;
}

static const struct option_spec *spec_of(const struct options *options, int code)
{
    if (code >= LONG_CODE)
        return &options->specs[code - LONG_CODE];
    for (size_t i = 0; i < options->count; i++)
        if (options->specs[i].letter == code)
            return &options->specs[i];
    return NULL;
}

void options_complain(const struct options *options, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "%s: ", options->command);
    vfprintf(stderr, format, args);
    fprintf(stderr, " (try '%s --help')\n", options->command);
    va_end(args);
}

/* The option as it was typed: "-j" or "--jobs". */
struct spelling {
    char text[64];
};

static struct spelling spell(const struct options *options, int code)
{
    struct spelling s;

    if (code < LONG_CODE)
        snprintf(s.text, sizeof s.text, "-%c", code);
    else
        snprintf(s.text, sizeof s.text, "--%s", options->specs[code - LONG_CODE].name);
    return s;
}

static void complain_of_limit(const struct options *options, const struct option_spec *spec,
                              const char *name, const char *text, bool low)
{
    char limit[VALUE_TEXT_MAX];

    option_number_format(spec, low ? spec->min : spec->max, limit, sizeof limit);
    fprintf(stderr, "%s: %s %s: must be at %s %s\n", options->command, name, text,
            low ? "least" : "most", limit);
}

static void complain_of_form(const struct options *options, const struct option_spec *spec,
                             const char *name, const char *text)
{
    fprintf(stderr, "%s: %s: '%s' is not ", options->command, name, text);
    if (spec->type == OPTION_COUNT)
        fprintf(stderr, "a number (%" PRIu64 " to %" PRIu64 ")\n", spec->min, spec->max);
    else if (spec->type == OPTION_SIZE)
        fprintf(stderr, "a size (such as 512, 1k or 16M)\n");
    else
        fprintf(stderr, "a duration (such as 250us, 50ms or 1.5s)\n");
}

/* Counts, sizes and durations: the same limits and messages, three spellings. */
static int set_number(const struct options *options, const struct option_spec *spec,
                      const char *name, const char *text)
{
    uint64_t n = 0;
    int64_t ns = 0;
    int rc;

    if (spec->type == OPTION_COUNT)
        rc = value_count(text, &n);
    else if (spec->type == OPTION_SIZE)
        rc = value_size(text, &n);
    else if ((rc = value_duration(text, &ns)) == 0)
        n = (uint64_t)ns;
    if (rc == -EINVAL) {
        complain_of_form(options, spec, name, text);
        return rc;
    }
    if (rc == -ERANGE || n < spec->min || n > spec->max) {
        complain_of_limit(options, spec, name, text, rc == 0 && n < spec->min);
        return -ERANGE;
    }
    if (spec->type == OPTION_DURATION)
        *spec->to.ns = (int64_t)n;
    else
        *spec->to.count = n;
    return 0;
}

static int set_choice(const struct options *options, const struct option_spec *spec,
                      const char *name, const char *text)
{
    for (int i = 0; spec->choices[i] != NULL; i++) {
        if (strcmp(spec->choices[i], text) == 0) {
            *spec->to.choice = i;
            return 0;
        }
    }
    fprintf(stderr, "%s: %s: '%s' is not one of ", options->command, name, text);
    for (int i = 0; spec->choices[i] != NULL; i++)
        fprintf(stderr, "%s%s", i == 0 ? "" : ", ", spec->choices[i]);
    fputc('\n', stderr);
    return -EINVAL;
}

static int list_add(struct option_list *list, const char *text)
{
    const char **items = realloc(list->items, (list->count + 1) * sizeof *items);

    if (items == NULL)
        return -ENOMEM;
    items[list->count++] = text;
    list->items = items;
    return 0;
}

void option_list_release(struct option_list *list)
{
    free(list->items);
    *list = (struct option_list){ NULL, 0 };
}

static int set(const struct options *options, int code, const char *text)
{
    const struct option_spec *spec = spec_of(options, code);
    struct spelling name = spell(options, code);

    switch (spec->type) {
    case OPTION_FLAG:
        *spec->to.flag = true;
        return 0;
    case OPTION_STRING:
        *spec->to.text = text;
        return 0;
    case OPTION_LIST:
        if (list_add(spec->to.list, text) == 0)
            return 0;
        fprintf(stderr, "%s: %s: out of memory\n", options->command, name.text);
        return -ENOMEM;
    case OPTION_CHOICE:
        return set_choice(options, spec, name.text, text);
    default:
        return set_number(options, spec, name.text, text);
    }
}

/* Names what getopt_long refused; it leaves the code in optopt, or 0 for an unknown long name. */
static void complain_of_refusal(const struct options *options, int code, char **argv)
{
    if (optopt == 0)
        options_complain(options, "unknown or ambiguous option '%s'", argv[optind - 1]);
    else if (code == ':')
        options_complain(options, "%s needs a value, %s", spell(options, optopt).text,
                         spec_of(options, optopt)->argument);
    else if (optopt >= LONG_CODE)
        options_complain(options, "%s takes no value", spell(options, optopt).text);
    else if (strncmp(argv[optind - 1], "--help=", 7) == 0)
        options_complain(options, "--help takes no value");
    else
        options_complain(options, "unknown option '-%c'", optopt);
}

static bool asks_for_help(const struct parser *parser, int argc, char **argv)
{
    int code;

    rewind_getopt();
    while ((code = next_code(parser, argc, argv)) != -1)
        if (code == HELP_CODE)
            return true;
    return false;
}

/* A "--" that is the value of an option (`-o -- word`) announces nothing: at the end getopt_long
 * moves on only past one that does. */
static bool operands_are_right(const struct options *options, int argc, char **argv, int end)
{
    bool announced = optind > end;

    if (options->behind_dashes == NULL)
        return true;
    if (optind < argc && !announced)
        options_complain(options, "unexpected argument '%s'; a %s comes after --", argv[optind],
                         options->behind_dashes);
    else if (optind == argc && announced)
        options_complain(options, "no %s after --", options->behind_dashes);
    else
        return true;
    return false;
}

enum options_result options_parse(const struct options *options, int argc, char **argv,
                                  int *ret_first)
{
    struct parser parser;
    int end = 1; /* behind the last option */
    int code;

    build(&parser, options);
    if (asks_for_help(&parser, argc, argv)) {
        options_print_help(options);
        return OPTIONS_HELPED;
    }
    rewind_getopt();
    while ((code = next_code(&parser, argc, argv)) != -1) {
        if (code == '?' || code == ':') {
            complain_of_refusal(options, code, argv);
            return OPTIONS_WRONG;
        }
        if (set(options, code, optarg) < 0)
            return OPTIONS_WRONG;
        end = optind;
    }
    if (!operands_are_right(options, argc, argv, end))
        return OPTIONS_WRONG;
    *ret_first = optind;
    return OPTIONS_RUN;
}
