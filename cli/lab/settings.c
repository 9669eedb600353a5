/* SPDX-License-Identifier: MIT */
/* The command line of `weft lab`: the table, and the lists, which a table cannot check.
 *
 * A list is words with commas between them, "io,cpu". Each word must be known, and naming one twice
 * changes nothing. */
#include "settings.h"

#include "values.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORD_BYTES = 32, GIL_BOTH = 0, GIL_WITH, GIL_WITHOUT };

/* What the options write to, before it is checked. */
struct raw {
    const char *loads, *kinds, *workers;
    int64_t time_ns; /* 0: not given */
    int gil;
};

static const char *const gils[] = { "both", "with", "without", NULL };
static const char *const kinds[LAB_KINDS_MAX] = { "serial", "threads", "tasks", "processes",
                                                  "auto" };

static const char all_loads[] = "io,cpu,mixed,changing";
static const char all_kinds[] = "serial,threads,tasks,processes,auto";

static const char more[] =
    "Loads: io (pages answered after 50 ms), cpu (2 ms of computing), mixed (a page\n"
    "after 5 ms, then 5 ms of computing), changing (first io, then cpu).\n"
    "\n"
    "Examples:\n"
    "  weft lab\n"
    "  weft lab --loads cpu --kinds threads,processes --workers 1,2,4\n"
    "  weft lab --time 3m --html lab.html\n"
    "  weft lab -i names.txt -- gzip -k {}\n"
    "\n"
    "Ctrl-C stops measuring and shows what there is.\n"
    "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n";

/* Copies the next word of a list and moves *list behind it; false at its end. A word that is too
 * long is cut, and then unknown. */
static bool next_word(const char **list, char word[WORD_BYTES])
{
    const char *text = *list;

    if (text == NULL)
        return false;
    size_t length = strcspn(text, ",");
    size_t kept = length < WORD_BYTES ? length : WORD_BYTES - 1;
    memcpy(word, text, kept);
    word[kept] = '\0';
    *list = text[length] == ',' ? text + length + 1 : NULL;
    return true;
}

static bool add_load(struct lab_settings *s, const char *word)
{
    for (int load = 0; load < LAB_LOADS; load++)
        if (strcmp(word, lab_load_name((enum lab_load)load)) == 0)
            return s->loads[load] = true;
    return false;
}

static bool parse_loads(const struct options *options, struct lab_settings *s, const char *list)
{
    char word[WORD_BYTES];

    while (next_word(&list, word))
        if (!add_load(s, word)) {
            options_complain(options, "--loads: '%s' is none of io, cpu, mixed, changing", word);
            return false;
        }
    return true;
}

static int kind_index(const char *word)
{
    for (int i = 0; i < LAB_KINDS_MAX; i++)
        if (strcmp(word, kinds[i]) == 0)
            return i;
    return -1;
}

static bool parse_kinds(const struct options *options, struct lab_settings *s, const char *list)
{
    bool named[LAB_KINDS_MAX] = { false };
    char word[WORD_BYTES];

    while (next_word(&list, word)) {
        int i = kind_index(word);
        if (i < 0) {
            options_complain(
                options, "--kinds: '%s' is none of serial, threads, tasks, processes, auto", word);
            return false;
        }
        named[i] = true;
    }
    for (int i = 0; i < LAB_KINDS_MAX; i++)
        if (named[i] && weft_kind_parse(kinds[i], &s->kinds[s->kind_count]) == 0)
            s->kind_count++;
    return true;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void drop_repeated(struct lab_settings *s)
{
    size_t kept = 0;

    qsort(s->workers, s->worker_count, sizeof s->workers[0], by_size);
    for (size_t i = 0; i < s->worker_count; i++)
        if (kept == 0 || s->workers[kept - 1] != s->workers[i])
            s->workers[kept++] = s->workers[i];
    s->worker_count = kept;
}

static bool parse_workers(const struct options *options, struct lab_settings *s, const char *list)
{
    char word[WORD_BYTES];
    uint64_t n;

    while (next_word(&list, word)) {
        if (value_count(word, &n) < 0 || n < 1 || n > LAB_WORKERS_MAX) {
            options_complain(options, "--workers: '%s' is not a number (1 to %d)", word,
                             LAB_WORKERS_MAX);
            return false;
        }
        if (s->worker_count == LAB_COUNTS_MAX) {
            options_complain(options, "--workers: more than %d numbers", LAB_COUNTS_MAX);
            return false;
        }
        s->workers[s->worker_count++] = (uint32_t)n;
    }
    drop_repeated(s);
    return true;
}

/* Operands are a command. */
static bool take_operands(const struct options *options, struct lab_settings *s, char **argv,
                          int argc, int first)
{
    if (first == argc && s->input != NULL) {
        options_complain(options, "-i %s: needs a command, after --", s->input);
        return false;
    }
    s->command = first < argc ? argv + first : NULL;
    return true;
}

/* Each mode has options that mean nothing in the other: better refused than ignored. */
static bool check_mode(const struct options *options, const struct lab_settings *s,
                       const struct raw *raw)
{
    bool with = s->command != NULL;
    const struct {
        const char *name;
        bool given, for_command;
    } only[] = {
        { "-0", s->nul_separated, true },
        { "-n", s->sample > 0, true },
        { "-o", s->output != NULL, true },
        { "--loads", raw->loads != all_loads, false },
        { "--kinds", raw->kinds != all_kinds, false },
        { "--gil", raw->gil != GIL_BOTH, false },
        { "--html", s->html != NULL, false },
    };

    for (size_t i = 0; i < sizeof only / sizeof only[0]; i++)
        if (only[i].given && only[i].for_command != with) {
            options_complain(options,
                             only[i].for_command ? "%s: needs a command, after --"
                                                 : "%s: not with a command",
                             only[i].name);
            return false;
        }
    return true;
}

/* Whether a file can be written is known now, not after a minute. */
static bool check_file(const struct options *options, const struct lab_settings *s,
                       const char *option, const char *path)
{
    if (path == NULL || (path == s->json && strcmp(path, "-") == 0))
        return true;
    if (strcmp(path, "-") == 0) {
        options_complain(options, "%s -: the table is on standard output; name a file", option);
        return false;
    }
    struct stat status;
    if (stat(path, &status) == 0 && S_ISFIFO(status.st_mode))
        return true; /* who reads it would see its end */
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        options_complain(options, "%s %s: %s", option, path, strerror(errno));
        return false;
    }
    close(fd);
    return true;
}

static bool check(const struct options *options, struct lab_settings *s, const struct raw *raw)
{
    s->workers_given = raw->workers != NULL;
    s->time_given = raw->time_ns > 0;
    s->time_ns = s->time_given ? raw->time_ns : 60 * WEFT_S;
    s->without_gil = raw->gil != GIL_WITH;
    s->with_gil = raw->gil != GIL_WITHOUT;
    return parse_loads(options, s, raw->loads) && parse_kinds(options, s, raw->kinds) &&
           parse_workers(options, s, s->workers_given ? raw->workers : "1,2,4,8,16,64");
}

enum options_result lab_settings_parse(int argc, char **argv, struct lab_settings *s)
{
    struct raw raw = { .loads = all_loads, .kinds = all_kinds };
    const struct option_spec specs[] = {
        { 0, "loads", "LIST", "what the calls do", OPTION_STRING, .to.text = &raw.loads },
        { 0, "kinds", "LIST", "what runs them", OPTION_STRING, .to.text = &raw.kinds },
        { 'j', "workers", "LIST",
          "how many run them at once; if not given 1,2,4,8,16,64, for computing not beyond four "
          "times the CPUs; with a command: as many as gain something",
          OPTION_STRING, .to.text = &raw.workers },
        { 0, "gil", "WHICH", "under a global interpreter lock: both, with or without it",
          OPTION_CHOICE, .to.choice = &raw.gil, .choices = gils },
        { 0, "time", "TIME",
          "how long to go on measuring, if the figures are not certain before; 1m if not given",
          OPTION_DURATION, .to.ns = &raw.time_ns, .min = WEFT_MS, .max = 24 * 3600 * WEFT_S },
        { 0, "json", "FILE", "write all of it to FILE; -: to standard output, without the table",
          OPTION_STRING, .to.text = &s->json },
        { 0, "html", "FILE", "write a page with plots to FILE", OPTION_STRING,
          .to.text = &s->html },
        { 'i', "input", "FILE", "with a command: a line of FILE for each run; -: standard input",
          OPTION_STRING, .to.text = &s->input },
        { '0', "null", NULL, "with a command: inputs end with a NUL byte, not with a newline",
          OPTION_FLAG, .to.flag = &s->nul_separated },
        { 'n', "sample", "N",
          "with a command: use at most N of the inputs, chosen by chance; 100000 if not given",
          OPTION_COUNT, .to.count = &s->sample, .min = 1, .max = 10000000 },
        { 'o', "output", "DIR",
          "with a command: save what runs write in DIR, which is made if it is missing, as "
          "LINE.out and LINE.err",
          OPTION_STRING, .to.text = &s->output },
        { 'q', "quiet", NULL, "no progress", OPTION_FLAG, .to.flag = &s->quiet },
    };
    const struct options options = {
        .command = "weft lab",
        .synopsis = "[OPTION]... [-- COMMAND [ARGUMENT]...]",
        .about = "Threads or processes? How many? What does a global interpreter lock change? "
                 "Measures it on this machine and says why. With a command: how many of it to run "
                 "at once.",
        .more = more,
        .specs = specs,
        .count = sizeof specs / sizeof specs[0],
        .behind_dashes = "command", /* a word too many is an error, not a program */
    };
    int first;

    *s = (struct lab_settings){ 0 };
    enum options_result parsed = options_parse(&options, argc, argv, &first);
    if (parsed != OPTIONS_RUN)
        return parsed;
    bool right = check(&options, s, &raw) && take_operands(&options, s, argv, argc, first) &&
                 check_mode(&options, s, &raw) && check_file(&options, s, "--json", s->json) &&
                 check_file(&options, s, "--html", s->html);
    return right ? OPTIONS_RUN : OPTIONS_WRONG;
}
