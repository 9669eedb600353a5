/* SPDX-License-Identifier: MIT */
/* The tool's front door: finds the command that the first word names and hands the rest over.
 *
 * Every command is one line in the table below and one file or folder of its own. It parses its own
 * options (options.h), so `weft help COMMAND` simply runs the command with --help. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/trace.h>

#include "command.h"

static const struct command commands[] = {
    { "fetch", "fetch URLs, many at once, by threads or processes", fetch_main },
    { "lab", "threads or processes, and how many: measures it here, and says why", lab_main },
    { "serve", "run the embedded test site, or serve a directory", serve_main },
    { "demo", "fetch the same pages with each kind, and compare", demo_main },
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_usage(FILE *to)
{
    fputs("Usage: weft COMMAND [OPTION]... [ARGUMENT]...\n"
          "\n"
          "Commands:\n",
          to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\n"
          "Options:\n"
          "  -h, --help     show this help and exit\n"
          "  -V, --version  show the version and exit\n"
          "\n"
          "`weft help COMMAND` explains a command.\n"
          "\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n",
          to);
}

/* What was printed matters here: `weft --version >/dev/full` has failed. */
static int flushed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_OK;
    perror("weft: standard output");
    return EXIT_FAILED;
}

static int unknown(const char *word)
{
    const char *what = word[0] == '-' ? "option" : "command";

    fprintf(stderr, "weft: unknown %s '%s' (try 'weft --help')\n", what, word);
    return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    const struct command *command = find(argv[0]);

    if (command == NULL)
        return unknown(argv[0]);
    int code = command->main(argc, argv);
    return code == EXIT_OK ? flushed() : code;
}

static int help(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stdout);
        return flushed();
    }
    char flag[] = "--help";
    char *help_argv[] = { argv[1], flag, NULL };
    return run(2, help_argv);
}

/* Whoever closed a standard descriptor (`>&-`) must not find a socket or a saved file in its place,
 * and our lines in that. What is opened instead fails as a closed one does: /dev/null, the wrong
 * way round. */
static void occupy_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* A trace that was asked for and cannot be written would be missed too late. */
static bool has_its_trace(void)
{
    int state = weft_trace_state();

    if (state >= 0)
        return true;
    fprintf(stderr, "weft: WEFT_TRACE=%s: %s%s\n", getenv("WEFT_TRACE"), weft_strerror(state),
            state == -EINVAL ? " (no regular file, or WEFT_TRACE_MAX or WEFT_TRACE_KEEP is wrong)"
                             : "");
    return false;
}

int main(int argc, char **argv)
{
    occupy_standard_descriptors();
    setlocale(LC_CTYPE, ""); /* libcurl reads names of hosts that are not ASCII by it */
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (!has_its_trace())
        return EXIT_USAGE;
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("weft " WEFT_TOOL_VERSION);
        return flushed();
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help(argc - 1, argv + 1);
    return run(argc - 1, argv + 1);
}
