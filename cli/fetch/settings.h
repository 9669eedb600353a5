/* SPDX-License-Identifier: MIT */
/* What the command line asks for. */
#ifndef FETCH_SETTINGS_H
#define FETCH_SETTINGS_H

#include "transfer.h"

#include "options.h"

/* More redirects than any browser follows. */
#define SETTINGS_REDIRECTS_MAX 100

struct settings {
    weft_kind kind;
    uint64_t workers;   /* of kind auto: at most; 0: the library decides */
    uint64_t processes; /* that the workers are in; 0: in this one */
    bool json;
    bool quiet;
    struct option_list inputs; /* files of URLs, "-": standard input */
    char **urls;               /* given on the command line; borrowed from argv, as inputs is */
    size_t urls_count;
    uint64_t retries;
    int64_t backoff_ns;
    int64_t retry_after_max_ns;
    struct plan plan;
};

/* Reads the command line. Returns OPTIONS_RUN with *s filled in, to be released, or what else to
 * do; what is wrong is on stderr by then. */
enum options_result settings_parse(int argc, char **argv, struct settings *s);

/* How many of the workers are in one process, at most. */
uint64_t settings_share(const struct settings *settings);

void settings_release(struct settings *settings);

#endif
