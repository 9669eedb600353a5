/* SPDX-License-Identifier: MIT */
/* weft demo: the same fetch with each kind of concurrency, side by side.
 *
 * Runs `weft serve` and then, for each kind, `weft fetch` of the same pages, as a user would: they
 * are processes of their own, so that what each costs can be measured (measure.c). The site reads
 * a pipe whose other end is here, and ends with it, however this program ends. */
#include "command.h"

#include "options.h"
#include "measure.h"
#include "values.h"

#include <weft.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES_SHOWN = 3, PAGES_MAX = 10000, URL_BYTES = 96, TASKS_MAX = 1000, KINDS = 4 };

struct settings {
    uint64_t pages;
    uint64_t jobs;
    int64_t latency_ns;
};

struct site {
    pid_t pid;
    int out, in;
    char url[URL_BYTES];
};

/* One line of the table. */
struct row {
    const char *kind;
    uint64_t workers;
    uint64_t fetched;
    struct measured cost;
};

/* Reads "Serving http://127.0.0.1:PORT/". */
static int read_url(struct site *site)
{
    char line[URL_BYTES + 16] = "";
    size_t used = 0;

    while (memchr(line, '\n', used) == NULL && used < sizeof line - 1) {
        ssize_t n = read(site->out, line + used, sizeof line - 1 - used);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return -EPIPE;
        used += n > 0 ? (size_t)n : 0;
    }
    return sscanf(line, "Serving %95s", site->url) == 1 ? 0 : -EPROTO;
}

static void site_end(struct site *site)
{
    int status;

    close(site->in);
    close(site->out);
    kill(site->pid, SIGTERM);
    while (waitpid(site->pid, &status, 0) < 0 && errno == EINTR)
        ;
}

static int site_start(struct site *site, const struct settings *settings)
{
    char latency[VALUE_TEXT_MAX];
    const char *argv[] = {
        "weft", "serve", "--port", "0", "--until-eof", "--latency", latency, NULL
    };

    value_duration_format(latency, sizeof latency, settings->latency_ns);
    site->pid = measure_start(argv, &site->out, &site->in);
    if (site->pid < 0)
        return site->pid;
    int rc = read_url(site);
    if (rc < 0)
        site_end(site);
    return rc;
}

static void on_line(const char *line, void *ctx)
{
    struct row *row = ctx;

    if (strncmp(line, "Fetched ", 8) != 0)
        return;
    if (row->fetched++ < LINES_SHOWN)
        printf("%s\n", line);
}

/* argv for one fetch: the words, then a URL for each page. Freed by free_argv(). */
static char **make_argv(const struct settings *settings, const struct site *site,
                        const struct row *row)
{
    char **argv = calloc(settings->pages + 8, sizeof *argv);
    size_t n = 0;

    if (argv == NULL)
        return NULL;
    argv[n++] = strdup("weft");
    argv[n++] = strdup("fetch");
    argv[n++] = strdup("--quiet");
    argv[n++] = strdup("-k");
    argv[n++] = strdup(row->kind);
    if (asprintf(&argv[n++], "-j%" PRIu64, row->workers) < 0)
        argv[n - 1] = NULL;
    for (uint64_t page = 1; page <= settings->pages; page++)
        if (asprintf(&argv[n++], "%spage/%" PRIu64, site->url, page) < 0)
            argv[n - 1] = NULL;
    return argv;
}

static void free_argv(char **argv)
{
    for (size_t i = 0; argv != NULL && argv[i] != NULL; i++)
        free(argv[i]);
    free(argv);
}

static int run_kind(const struct settings *settings, const struct site *site, struct row *row)
{
    char **argv = make_argv(settings, site, row);

    if (argv == NULL)
        return -ENOMEM;
    printf("$ weft fetch -k %s -j %" PRIu64 " %spage/1 ... %spage/%" PRIu64 "\n", row->kind,
           row->workers, site->url, site->url, settings->pages);
    fflush(stdout);
    int rc = measure_run((const char *const *)argv, site->pid, on_line, row, &row->cost);
    if (rc == 0 && row->fetched > LINES_SHOWN)
        printf("... and %" PRIu64 " more\n", row->fetched - LINES_SHOWN);
    printf("\n");
    free_argv(argv);
    return rc;
}

static void print_table(const struct settings *settings, const struct row *rows)
{
    char latency[VALUE_TEXT_MAX];

    value_duration_format(latency, sizeof latency, settings->latency_ns);
    printf("%-10s %8s %6s %7s %8s %7s %9s %9s\n", "kind", "workers", "URLs", "failed", "wall s",
           "CPU s", "peak MiB", "speed-up");
    for (size_t i = 0; i < KINDS; i++) {
        const struct row *row = &rows[i];
        printf("%-10s %8" PRIu64 " %6" PRIu64 " %7" PRIu64 " %8.2f %7.2f %9.1f %8.1fx\n", row->kind,
               row->workers, settings->pages, settings->pages - row->fetched, row->cost.wall_s,
               row->cost.cpu_s, (double)row->cost.peak_bytes / 1048576,
               rows[0].cost.wall_s / row->cost.wall_s);
    }
    printf("\n"
           "Each page is answered after %s. Wall time is from start to end of the program. CPU is\n"
           "user and system time of weft fetch and all of its processes, as the kernel accounts\n"
           "it. Peak memory is theirs together (shared pages counted once, by proportional set\n"
           "size), looked up every 10 ms: a shorter peak is missed. The site is not counted.\n",
           latency);
}

/* A task for each page. */
static uint64_t at_once(const struct settings *settings)
{
    return settings->pages < TASKS_MAX ? settings->pages : TASKS_MAX;
}

static int run_all(const struct settings *settings)
{
    struct row rows[KINDS] = { { "serial", 1, 0, { 0 } },
                               { "threads", settings->jobs, 0, { 0 } },
                               { "tasks", at_once(settings), 0, { 0 } },
                               { "processes", settings->jobs, 0, { 0 } } };
    struct site site;
    int code = EXIT_OK;
    int rc = site_start(&site, settings);

    if (rc < 0) {
        fprintf(stderr, "weft demo: the site does not start: %s\n", strerror(-rc));
        return EXIT_FAILED;
    }
    for (size_t i = 0; rc == 0 && i < KINDS; i++) {
        rc = run_kind(settings, &site, &rows[i]);
        if (rows[i].fetched < settings->pages || rows[i].cost.exit_code != 0)
            code = EXIT_FAILED;
    }
    site_end(&site);
    if (rc == 0)
        print_table(settings, rows);
    else
        fprintf(stderr, "weft demo: %s\n", strerror(-rc));
    return rc < 0 ? EXIT_FAILED : code;
}

int demo_main(int argc, char **argv)
{
    struct settings settings = { 200, 20, 50 * WEFT_MS };
    const struct option_spec specs[] = {
        { 'n', "pages", "N", "how many pages each kind fetches", OPTION_COUNT,
          .to.count = &settings.pages, .min = 1, .max = PAGES_MAX },
        { 'j', "jobs", "N", "how many fetch at once by threads, and by processes", OPTION_COUNT,
          .to.count = &settings.jobs, .min = 1, .max = 1000 },
        { 'l', "latency", "TIME", "how long each page takes", OPTION_DURATION,
          .to.ns = &settings.latency_ns, .max = 3600 * WEFT_S },
    };
    const struct options options = {
        .command = "weft demo",
        .synopsis = "[OPTION]...",
        .about = "Fetches the same pages from a site of its own one at a time, by threads, by "
                 "tasks (all of them at once) and by processes, and says what each took.",
        .specs = specs,
        .count = sizeof specs / sizeof specs[0],
    };
    int first;

    switch (options_parse(&options, argc, argv, &first)) {
    case OPTIONS_HELPED:
        return EXIT_OK;
    case OPTIONS_WRONG:
        return EXIT_USAGE;
    default:
        break;
    }
    if (first < argc) {
        options_complain(&options, "unexpected argument '%s'", argv[first]);
        return EXIT_USAGE;
    }
    return run_all(&settings);
}
