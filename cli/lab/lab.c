/* SPDX-License-Identifier: MIT */
/* weft lab: threads or processes, how many, and what a global interpreter lock changes, measured.
 *
 *   settings.c      the command line              results.h       what was found
 *   machine.c       where                         loads.c         what the calls do
 *   site_child.c    the site they ask             client.c        how they ask it
 *   run.c           one run on a pool             survey.c        all of them, in rounds
 *   interval.c      how certain that is           verdict.c       who wins, and why
 *   timeline.c      who does what, when           race.c          lost updates
 *   table.c         all of it as text             results_json.c  as JSON
 *   page.c          as an HTML page               progress.c      the line that says how far it is
 *   strand.c        what measures, ended by Ctrl-C
 *   output.c        the end of what is written
 *   command_run.c   the same about the user's own command */
#include "command.h"

#include "command_run.h"
#include "fetch/descriptors.h"
#include "fetch/interrupt.h"
#include "machine.h"
#include "output.h"
#include "page.h"
#include "race.h"
#include "results_json.h"
#include "settings.h"
#include "site_child.h"
#include "strand.h"
#include "survey.h"
#include "table.h"
#include "timeline.h"
#include "verdict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RACERS_MAX = 4 };

struct lab {
    const struct lab_settings *settings;
    struct lab_results results;
    struct lab_bench bench;
    struct site_child site;
    struct progress progress;
    struct lab_trouble trouble;
    int64_t started_ns;
};

static void begin(struct lab *lab, const struct lab_settings *settings)
{
    time_t now = time(NULL);
    struct tm utc;

    lab->settings = settings;
    lab->started_ns = weft_now();
    lab->results.version = WEFT_TOOL_VERSION;
    lab->results.others = -1; /* until something has been measured */
    lab->bench.workers_max = settings->workers[settings->worker_count - 1];
    if (gmtime_r(&now, &utc) != NULL)
        strftime(lab->results.date, sizeof lab->results.date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    machine_read(&lab->results.machine);
    progress_init(&lab->progress, settings->quiet, 0); /* the first round is not limited */
}

static int prepare(struct lab *lab)
{
    progress_show(&lab->progress, "starting the site");
    int rc = site_child_start(&lab->site);
    if (rc < 0) {
        snprintf(lab->trouble.text, sizeof lab->trouble.text, "the embedded site: %s",
                 weft_strerror(rc));
        return rc;
    }
    snprintf(lab->bench.place.site, sizeof lab->bench.place.site, "%s", lab->site.address);
    lab->bench.site = weft_child_pid(lab->site.child);
    lab->bench.rounds_per_ms = lab_calibrate();
    return 0;
}

/* As many as CPUs, so that they meet; two at least, since they may on one CPU, too. */
static uint32_t racers(const struct lab *lab)
{
    uint32_t cpus = lab->results.machine.cpus;

    return cpus < 2 ? 2 : cpus > RACERS_MAX ? RACERS_MAX : cpus;
}

/* The strand that measures. */
static int measure(weft_call *call)
{
    struct lab *lab = lab_strand_pointer(call);
    weft_deadline deadline = { lab->started_ns + lab->settings->time_ns };
    int rc = prepare(lab);

    if (rc == 0) {
        progress_show(&lab->progress, "a data race");
        rc = lab_race_run(racers(lab), lab->results.machine.cpus, &lab->results.race);
    }
    if (rc == 0) {
        progress_show(&lab->progress, "recording timelines");
        rc = lab_timelines_record(lab->settings, &lab->bench, &lab->results, &lab->trouble);
    }
    if (rc == 0)
        rc = lab_survey(lab->settings, &lab->bench, &lab->progress, deadline, &lab->results,
                        &lab->trouble);
    site_child_end(&lab->site);
    return rc;
}

static int measure_all(struct lab *lab)
{
    (void)descriptors_raise(); /* before the zygote, whose processes inherit it */
    lab_loads_init();
    int rc = weft_init();

    if (rc < 0)
        return rc;
    rc = lab_strand_run(measure, lab);
    progress_clear(&lab->progress);
    lab->results.seconds = (double)(weft_now() - lab->started_ns) / (double)WEFT_S;
    lab->results.interrupted = weft_event_is_set(&interrupts.finish);
    lab->results.verdict_count = lab_judge(lab->results.rows, lab->results.row_count,
                                           &lab->results.machine, lab->results.verdicts);
    return lab->results.interrupted ? -ECANCELED : rc;
}

static int write_json(const struct lab_results *results, const char *path)
{
    FILE *file = fopen(path, "we");
    int rc = file == NULL ? -errno : lab_json_write(results, file);

    return output_end_file(file, "--json", path, rc);
}

static int write_page(const struct lab_results *results, const char *path)
{
    return output_end_file(NULL, "--html", path, lab_page_write(results, path));
}

/* What is for standard output: the table, or the JSON instead of it. */
static int write_stdout(const struct lab *lab)
{
    const char *json = lab->settings->json;
    int rc = 0;

    if (json != NULL && strcmp(json, "-") == 0)
        rc = lab_json_write(&lab->results, stdout);
    else
        lab_table_print(stdout, &lab->results);
    return output_end_stdout(rc);
}

/* Shows everything that it can, whatever of it fails. */
static int show(const struct lab *lab)
{
    const struct lab_settings *settings = lab->settings;
    bool to_file = settings->json != NULL && strcmp(settings->json, "-") != 0;
    int json = to_file ? write_json(&lab->results, settings->json) : 0;
    int page = settings->html != NULL ? write_page(&lab->results, settings->html) : 0;
    int printed = write_stdout(lab);

    return json < 0 ? json : page < 0 ? page : printed;
}

static int run(const struct lab_settings *settings)
{
    struct lab lab = { 0 };
    int code = EXIT_OK;

    begin(&lab, settings);
    int rc = measure_all(&lab);
    bool failed = rc < 0 && !lab.results.interrupted;
    if ((!failed || lab.results.row_count > 0) && show(&lab) < 0)
        code = EXIT_FAILED;
    if (code == EXIT_OK && lab.results.interrupted) {
        fprintf(stderr, "Interrupted\n");
        code = EXIT_INTERRUPTED;
    }
    if (failed) {
        fprintf(stderr, "weft lab: %s\n",
                lab.trouble.text[0] != '\0' ? lab.trouble.text : weft_strerror(rc));
        code = EXIT_FAILED;
    }
    lab_results_release(&lab.results);
    return code;
}

int lab_main(int argc, char **argv)
{
    struct lab_settings settings;

    switch (lab_settings_parse(argc, argv, &settings)) {
    case OPTIONS_HELPED:
        return EXIT_OK;
    case OPTIONS_WRONG:
        return EXIT_USAGE;
    default:
        break;
    }
    return settings.command != NULL ? lab_command_run(&settings) : run(&settings);
}
