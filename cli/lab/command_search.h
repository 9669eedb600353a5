/* SPDX-License-Identifier: MIT */
/* The search for the best degree of parallelism: which degrees are tried, when and how often. */
#ifndef LAB_COMMAND_SEARCH_H
#define LAB_COMMAND_SEARCH_H

#include "command_round.h"
#include "command_verdict.h"
#include "progress.h"

enum { COMMAND_DEGREES_MAX = 64, COMMAND_ROUNDS_MAX = 64, COMMAND_REASON_BYTES = 128 };

/* The rounds at one degree. */
struct command_tally {
    struct command_round sum;
    double rates[COMMAND_ROUNDS_MAX];
    size_t rounds;
};

struct command_search {
    /* What is asked for; set before. */
    struct command_work work;
    const uint32_t *list; /* degrees to try, ascending; NULL: it chooses */
    size_t list_count;
    double cpus; /* that may be used */
    int64_t time_ns;
    struct progress *progress;

    /* What was found. */
    struct command_tally *tallies; /* one for each degree that has a round, by jobs */
    struct command_degree degrees[COMMAND_DEGREES_MAX];
    size_t count;
    bool cut;                                  /* the time was over before all was certain */
    bool cold;                                 /* the first run, which is slow, counts */
    bool failing;                              /* all runs have failed, so that it was given up */
    bool unrepeatable;                         /* runs fail on inputs that were used before */
    uint32_t skipped;                          /* 0, or from which degree on none was tried, and */
    char skipped_reason[COMMAND_REASON_BYTES]; /* why */
    uint64_t memory_bytes;                     /* of the largest run */
    int64_t took_ns;
    char trouble[COMMAND_TROUBLE_BYTES];

    /* The search's own. */
    weft_deadline deadline;
    int64_t slice_ns;             /* how long a round is to take */
    size_t planned;               /* how many degrees there will be, about */
    uint64_t fresh, failed_fresh; /* runs on inputs not used before */
};

/* Searches. Returns 0, also when the time was too short for a single round (count is 0 then);
 * -ECANCELED; or -errno with what is wrong in trouble. What was found until then is there in each
 * case; tallies is to be freed. */
int command_search_run(struct command_search *search);

/* The degree behind `jobs` that is tried when none are given: powers of two, and all CPUs. */
uint32_t command_degree_after(uint32_t jobs, double cpus);

#endif
