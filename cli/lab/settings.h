/* SPDX-License-Identifier: MIT */
/* What the command line of `weft lab` asks for. */
#ifndef LAB_SETTINGS_H
#define LAB_SETTINGS_H

#include "results.h"

#include "options.h"

enum { LAB_WORKERS_MAX = 1024, LAB_COUNTS_MAX = 32, LAB_KINDS_MAX = 5 };

struct lab_settings {
    bool loads[LAB_LOADS];
    weft_kind kinds[LAB_KINDS_MAX]; /* in the order of weft_kind */
    size_t kind_count;
    uint32_t workers[LAB_COUNTS_MAX]; /* ascending */
    size_t worker_count;
    bool workers_given; /* by --workers */
    bool without_gil, with_gil;
    int64_t time_ns; /* --time */
    bool time_given;
    const char *json; /* a file, "-": standard output; NULL: none */
    const char *html; /* a file; NULL: none */
    bool quiet;

    /* For `weft lab [-i FILE] -- COMMAND`. */
    const char *input; /* -i; NULL: not given */
    bool nul_separated;
    uint64_t sample;    /* how many inputs, at most; 0: not given */
    const char *output; /* the directory for its output; NULL: not given */
    char **command;     /* ends with NULL, at least one word; NULL: no command was given */
};

/* Reads the command line. Returns OPTIONS_RUN with *s filled in, whose strings belong to argv, or
 * what else to do; what is wrong is on stderr by then. */
enum options_result lab_settings_parse(int argc, char **argv, struct lab_settings *s);

#endif
