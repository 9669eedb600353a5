/* SPDX-License-Identifier: MIT */
/* Command-line options from one table per command: parsing, checking and --help come from the same
 * lines, so that they cannot disagree.
 *
 * A command fills its settings with the defaults, describes them and parses:
 *
 *     struct { uint64_t jobs; int64_t timeout_ns; bool json; int kind; } set = { 20, 0, false, 0 };
 *     static const char *const kinds[] = { "serial", "threads", "tasks", "processes", NULL };
 *     const struct option_spec specs[] = {
 *         { 'j', "jobs", "N", "fetches at once", OPTION_COUNT,
 *           .to.count = &set.jobs, .min = 1, .max = 10000 },
 *         { 0, "timeout", "TIME", "longest time for one URL, 0: none", OPTION_DURATION,
 *           .to.ns = &set.timeout_ns, .max = INT64_MAX },
 *         { 'k', "kind", "KIND", "what runs the fetches", OPTION_CHOICE,
 *           .to.choice = &set.kind, .choices = kinds },
 *         { 0, "json", NULL, "one JSON object per line", OPTION_FLAG, .to.flag = &set.json },
 *     };
 *     const struct options options = {
 *         "weft fetch", "[OPTION]... [URL]...", "Fetches URLs.", NULL,
 *         specs, sizeof specs / sizeof specs[0],
 *     };
 *     int first;
 *     switch (options_parse(&options, argc, argv, &first)) {
 *     case OPTIONS_RUN: break;
 *     case OPTIONS_HELPED: return EXIT_OK;
 *     case OPTIONS_WRONG: return EXIT_USAGE;
 *     }
 *     for (int i = first; i < argc; i++) ...   the operands
 *
 * -h and --help are added to every table. Options and operands may be mixed, unless the table says
 * otherwise; "--" ends the options.
 * The help shows the default, which is what the setting holds when parsing starts.
 * Not for several threads at once: getopt_long keeps its state in globals. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_FLAG,     /* takes no value: sets *to.flag */
    OPTION_COUNT,    /* 20 */
    OPTION_SIZE,     /* 512, 1k, 16M, 1G: bytes */
    OPTION_DURATION, /* 250us, 50ms, 1.5s, 2m, 1h: nanoseconds */
    OPTION_STRING,   /* borrowed from argv; NULL means not given */
    OPTION_LIST,     /* may be repeated: each value is added */
    OPTION_CHOICE,   /* one of choices: its index */
};

/* Grows with each OPTION_LIST value. Owns items (release it), borrows the strings from argv. */
struct option_list {
    const char **items;
    size_t count;
};

void option_list_release(struct option_list *list);

/* One option: { letter, name, argument, help, type, .to.X = &setting, limits }. */
struct option_spec {
    char letter;          /* 0: long only */
    const char *name;     /* required */
    const char *argument; /* what the help calls the value: "N", "TIME"; NULL for a flag */
    const char *help;     /* a phrase; wrapped, with the default added where there is one */
    enum option_type type;
    union { /* the member that belongs to the type */
        bool *flag;
        uint64_t *count;
        uint64_t *bytes;
        int64_t *ns;
        const char **text;
        struct option_list *list;
        int *choice;
    } to;
    uint64_t min, max;          /* inclusive, for counts, sizes and durations (ns) */
    const char *const *choices; /* ends with NULL */
};

struct options {
    const char *command;  /* "weft serve": also the prefix of every error */
    const char *synopsis; /* "[OPTION]... [URL]..." */
    const char *about;    /* a paragraph, wrapped */
    const char *more;     /* printed as it is after the options; NULL: nothing */
    const struct option_spec *specs;
    size_t count; /* at most OPTIONS_MAX */
    /* What the operands are, "command", if they may only stand behind a "--", where there must be
     * one then: they are for somebody else, and none is taken by mistake. NULL: they may stand
     * anywhere. */
    const char *behind_dashes;
};

#define OPTIONS_MAX 64

enum options_result {
    OPTIONS_RUN,    /* go on: settings are filled in, argv[*ret_first] is the first operand */
    OPTIONS_HELPED, /* help was asked for and is on stdout */
    OPTIONS_WRONG,  /* stderr names the option and the bad value; settings are unspecified */
};

/* Reorders argv so that operands come last (not if behind_dashes is set). argv[0] is the command's
 * own name and is skipped. *ret_first is written for OPTIONS_RUN only. */
enum options_result options_parse(const struct options *options, int argc, char **argv,
                                  int *ret_first);

/* For what the table cannot say: prints "weft serve: <message>" and a hint on stderr, in the form
 * of the errors above. */
void options_complain(const struct options *options, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
