/* SPDX-License-Identifier: MIT */
/* weft lab: threads or processes, how many, and what a global interpreter lock changes, measured.
 *
 *   settings.c      the command line          results.h   what was found
 *   command_run.h   the same about the user's own command
 *   page.c          the results as an HTML page */
#include "command.h"

#include "command_run.h"
#include "page.h"
#include "settings.h"

#include <stdio.h>

static int write_page(const struct lab_results *results, const char *path)
{
    int rc = lab_page_write(results, path);

    if (rc < 0)
        fprintf(stderr, "weft lab: --html %s: %s\n", path, weft_strerror(rc));
    return rc;
}

static int run(const struct lab_settings *settings)
{
    struct lab_results results = { .version = WEFT_TOOL_VERSION };
    int rc = 0;

    if (settings->html != NULL)
        rc = write_page(&results, settings->html);
    lab_results_release(&results);
    return rc < 0 ? EXIT_FAILED : EXIT_OK;
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
