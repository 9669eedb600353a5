/* SPDX-License-Identifier: MIT */
/* What the figures about a command mean: what it is bound by, how many to run at once, and why. */
#ifndef LAB_COMMAND_VERDICT_H
#define LAB_COMMAND_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The command run by so many at once: all rounds at that degree together. */
struct command_degree {
    uint32_t jobs;
    size_t rounds;
    uint64_t runs, failed;  /* failed ones count in all the figures */
    double rate, low, high; /* runs per second and the 95 % interval; fewer than three rounds: no
                               interval, both are NAN */
    double wall_s, cpu_s;   /* of one run, on average, as are: */
    double queued_s;        /* for which its first thread waited for a CPU; NAN: the kernel does not
                               tell, as with both pressures */
    double major_faults;    /* pages of programs and files that had to come from the disk */
    double disk_bytes;      /* read from and written to it for the run, as far as it was charged */
    double blocked;         /* how often it gave up a CPU to wait */
    double preempted;       /* how often a CPU was taken from it */
    double cpu_pressure;    /* 0 to 1: of the rounds' time, in which somebody on this machine waited
                               for a CPU */
    double io_pressure;     /* the same for disks */
};

/* What one run does with its time. */
enum command_class {
    COMMAND_CPU,      /* it computes, or would if it had a CPU */
    COMMAND_PARALLEL, /* it computes on several CPUs by itself */
    COMMAND_MIXED,    /* it computes and waits */
    COMMAND_WAITING,  /* it waits */
};

/* What it waits for when it waits. */
enum command_wait {
    COMMAND_WAIT_NONE,
    COMMAND_WAIT_DISK,
    COMMAND_WAIT_CPU,   /* others have it */
    COMMAND_WAIT_OTHER, /* the network, another program, a timer: what it is cannot be seen */
};

/* Why more at once than the best gains nothing. */
enum command_limit {
    COMMAND_LIMIT_UNKNOWN, /* more was not tried */
    COMMAND_LIMIT_GAINING, /* more was not tried, though the last step gained: more might, too */
    COMMAND_LIMIT_CPUS,    /* all of them are busy */
    COMMAND_LIMIT_DISK,
    COMMAND_LIMIT_OTHER, /* CPUs are idle and the disk is not the reason: something is shared */
};

struct command_verdict {
    enum command_class class;
    enum command_wait wait;
    enum command_limit limit;
    double busy;   /* CPU seconds per second of one run, at the smallest degree */
    double queued; /* seconds of waiting for a CPU per second, there */
    size_t best;   /* index of the smallest degree whose rate is within 5 % of the highest */
    double gain;   /* its rate over that of the smallest degree */
    bool certain;  /* the intervals of both are known and do not overlap, or best is 0 */
    double cpus;   /* CPU seconds per second of all runs together, at the best degree */
    bool crowded;  /* others used the CPUs meanwhile, or a quota did not give them */
    size_t broken; /* how many degrees are out of question, as more runs failed than at the first */
};

/* Judges. degrees: by jobs, at least one, each with at least one run; cpus: that may be used. */
struct command_verdict command_judge(const struct command_degree *degrees, size_t count,
                                     double cpus);

/* A few sentences for people, cut to size. 1024 bytes are enough. */
void command_verdict_text(const struct command_verdict *verdict,
                          const struct command_degree *degrees, size_t count, double cpus,
                          char *text, size_t size);

/* Whether so many more runs fail at this degree than at the first that it is out of question. */
bool command_degree_broken(const struct command_degree *degree, const struct command_degree *first);

/* Constant names for JSON: "cpu", "disk", ...; COMMAND_WAIT_NONE: NULL. */
const char *command_class_name(enum command_class class);
const char *command_wait_name(enum command_wait wait);
const char *command_limit_name(enum command_limit limit);

/* Three digits of a rate or a time, as "1234", "41.2", "0.052". */
#define COMMAND_FIGURE_BYTES 32
struct command_figure {
    char text[COMMAND_FIGURE_BYTES];
};
struct command_figure command_figure(double value);

#endif
