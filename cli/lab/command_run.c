/* SPDX-License-Identifier: MIT */
/* weft lab -- COMMAND: how many of the user's own command to run at once.
 *
 *   command_inputs.c   what it is run on         command_search.c   which degrees, how often
 *   command_child.c    one run                   command_verdict.c  what the figures mean
 *   command_round.c    so many at once           command_print.c    for people; command_json.c
 */
#include "command_run.h"

#include "command.h"
#include "command_print.h"
#include "machine.h"
#include "output.h"
#include "strand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLE_PRESET = 100000 };

static int complain(int code, const char *what)
{
    fprintf(stderr, "weft lab: %s\n", what);
    return code;
}

/* ---- inputs */

/* Where inputs come from; NULL: nowhere. A terminal is not waited for. */
static const char *source_of(const struct lab_settings *settings)
{
    if (settings->input != NULL)
        return settings->input;
    return isatty(STDIN_FILENO) ? NULL : "-";
}

/* Returns an exit code; what is wrong is on stderr. */
static int read_inputs(const struct lab_settings *settings, struct command_inputs *inputs)
{
    const char *source = source_of(settings);
    char complaint[COMMAND_COMPLAINT_BYTES] = "";
    size_t most = settings->sample > 0 ? settings->sample : SAMPLE_PRESET;

    if (source != NULL &&
        command_inputs_read(inputs, source, settings->nul_separated, most, complaint) < 0)
        return complain(EXIT_USAGE, complaint);
    if (inputs->count > 0)
        return EXIT_OK;
    if (settings->input != NULL)
        fprintf(stderr, "weft lab: -i %s: it has no inputs\n", settings->input);
    else if (command_words_have_place(settings->command))
        fputs("weft lab: {}: there are no inputs to put there: give some with -i FILE, or on "
              "standard input\n",
              stderr);
    else
        return EXIT_OK; /* it is run as it is */
    return EXIT_USAGE;
}

/* ---- outputs */

/* Returns an exit code; *ret_fd stays as it is if there is nothing to open. */
static int open_directory(const char *path, int *ret_fd)
{
    if (path == NULL)
        return EXIT_OK;
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd >= 0 && faccessat(*ret_fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
        return EXIT_OK;
    fprintf(stderr, "weft lab: -o %s: %s\n", path, strerror(errno));
    return EXIT_USAGE;
}

/* ---- the search */

static int search_strand(weft_call *call)
{
    struct command_search *search = lab_strand_pointer(call);

    return command_search_run(search);
}

/* On an input that had not been used before, or with a result that counts all the same. */
static bool some_failed(const struct command_search *search)
{
    uint64_t failed = search->failed_fresh;

    for (size_t i = 0; i < search->count; i++)
        failed += search->degrees[i].failed;
    return failed > 0;
}

/* What is wrong when the search has failed, or found nothing. Returns an exit code. */
static int judge_search(const struct command_search *search, int rc)
{
    if (rc == -ECANCELED)
        return complain(EXIT_INTERRUPTED, "interrupted");
    if (rc < 0) {
        complain(0, search->trouble[0] != '\0' ? search->trouble : weft_strerror(rc));
        return search->work.wrong ? EXIT_USAGE : EXIT_FAILED;
    }
    if (search->count == 0)
        return complain(EXIT_FAILED, "no run ended within the time: give it more with --time");
    return some_failed(search) ? EXIT_FAILED : EXIT_OK;
}

/* ---- the report */

static int write_json(const struct command_report *report, const char *path)
{
    FILE *file = fopen(path, "we");
    int rc = file != NULL ? command_json_write(report, file) : -errno;

    return output_end_file(file, "--json", path, rc);
}

/* Writes everything that it can, whatever of it fails. */
static int write_all(const struct command_report *report, const char *json)
{
    const struct command_search *search = report->search;
    bool json_only = json != NULL && strcmp(json, "-") == 0;
    int saved = json != NULL && !json_only ? write_json(report, json) : 0;
    int printed = 0;

    if (json_only)
        printed = command_json_write(report, stdout);
    else if (search->count > 0 || some_failed(search))
        command_print(report);
    printed = output_end_stdout(printed);
    return saved < 0 || printed < 0 ? EXIT_FAILED : EXIT_OK;
}

static int report_on(const struct lab_settings *settings, struct command_search *search,
                     bool interrupted)
{
    struct command_report report = { .search = search, .interrupted = interrupted };

    if (search->count > 0) {
        report.verdict = command_judge(search->degrees, search->count, search->cpus);
        command_verdict_text(&report.verdict, search->degrees, search->count, search->cpus,
                             report.text, sizeof report.text);
    }
    return write_all(&report, settings->json);
}

static int measure(const struct lab_settings *settings, const struct command_inputs *inputs,
                   int directory_fd)
{
    struct lab_machine machine = { 0 };
    struct progress progress;
    struct command_search search = { .work = { .words = settings->command,
                                               .inputs = inputs,
                                               .directory_fd = directory_fd,
                                               .lock = WEFT_LOCK_INIT },
                                     .list = settings->workers_given ? settings->workers : NULL,
                                     .list_count = settings->worker_count,
                                     .time_ns = settings->time_ns,
                                     .progress = &progress };

    machine_read(&machine);
    search.cpus = machine_cpus(&machine);
    progress_init(&progress, settings->quiet, weft_now() + settings->time_ns);
    int code = judge_search(&search, lab_strand_run(search_strand, &search));
    int written = EXIT_OK;
    if (code != EXIT_USAGE)
        written = report_on(settings, &search, code == EXIT_INTERRUPTED);
    free(search.tallies);
    return code == EXIT_OK ? written : code;
}

int lab_command_run(const struct lab_settings *settings)
{
    struct command_inputs inputs = { 0 };
    int directory_fd = -1;
    int code = read_inputs(settings, &inputs);

    if (code == EXIT_OK)
        code = open_directory(settings->output, &directory_fd);
    if (code == EXIT_OK)
        code = measure(settings, &inputs, directory_fd);
    if (directory_fd >= 0)
        close(directory_fd);
    command_inputs_release(&inputs);
    return code;
}
