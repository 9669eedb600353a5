/* SPDX-License-Identifier: MIT */
/* The commands of the tool and the exit codes that all of them share. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,        /* some of the work, or all of it, could not be done */
    EXIT_USAGE = 2,         /* the command line was wrong: nothing was started */
    EXIT_INTERRUPTED = 130, /* ended by Ctrl-C before the work was done */
};

/* One line of the table in main.c. */
struct command {
    const char *name;
    const char *summary; /* one line for `weft --help` */
    /* argv[0] is the command's name; returns an exit_code. */
    int (*main)(int argc, char **argv);
};

int demo_main(int argc, char **argv);
int fetch_main(int argc, char **argv);
int lab_main(int argc, char **argv);
int serve_main(int argc, char **argv);

#endif
