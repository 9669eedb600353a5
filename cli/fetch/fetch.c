/* SPDX-License-Identifier: MIT */
/* weft fetch: many URLs at once.
 *
 *   settings.c     the command line           transfer.c  one attempt: what workers run
 *   descriptors.c  how many can be open       classify.c  why it failed
 *   input.c        URLs, from files           saver.c     bodies as files
 *   driver.c       hands out, takes back      output.c    lines, progress, summary
 *   jobs.c         what is in flight, waits   json.c      lines as JSON
 *   retry.c        what is tried again        verdict.c   results that no transfer gave
 *   crew.c, hand.c worker processes, seen from here; crew_work.c: from inside
 *
 * The driver is a strand of its own, because a strand can be cancelled: the second Ctrl-C ends
 * whatever it waits for, the transfer included that it runs itself with kind serial. The main
 * strand only waits, for that Ctrl-C and for the driver's end. */
#include "command.h"

#include "driver.h"
#include "interrupt.h"

#include <weft/curl.h>

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* Before there is a second thread: libcurl first, so that worker processes find it prepared. */
static int prepare(const struct settings *settings)
{
    int rc = weft_curl_init();
    if (rc == 0 && settings->kind == WEFT_PROCESSES)
        rc = weft_init();
    return rc;
}

/* Waits for the driver, and cancels it when the user does not want to wait. */
static void supervise(weft_group *group, int group_fd, int signals)
{
    struct pollfd fds[] = { { .fd = group_fd, .events = POLLIN },
                            { .fd = signals, .events = POLLIN } };

    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue; /* EINTR: by a debugger */
        if (fds[0].revents != 0)
            return;
        interrupts_read(signals);
        if (weft_event_is_set(&interrupts.stop))
            weft_group_cancel(group);
    }
}

/* Runs the driver as a strand. Returns what it returned, an exit code, or -errno. */
static int run_driver(const struct settings *settings, int signals)
{
    weft_group *group = NULL;
    weft_future *driver = NULL;
    int rc = weft_group_open(&group, WEFT_THREADS, &(weft_options){ .name = "driver" });
    int fd = rc == 0 ? weft_group_fd(group) : rc;

    if (fd >= 0)
        rc = weft_group_submit(group, drive, &settings, sizeof(struct settings *), &driver,
                               WEFT_FOREVER);
    else
        rc = fd;
    if (rc == 0) {
        supervise(group, fd, signals);
        rc = weft_future_outcome(driver)->status;
    }
    weft_future_close(driver);
    weft_group_close(group);
    return rc;
}

static int run(const struct settings *settings)
{
    int rc = prepare(settings);
    int signals = rc == 0 ? interrupts_open() : rc;

    rc = signals;
    if (signals >= 0) {
        rc = run_driver(settings, signals);
        close(signals);
    }
    if (rc < 0) {
        fprintf(stderr, "weft fetch: %s\n", weft_strerror(rc));
        return EXIT_FAILED;
    }
    return rc;
}

int fetch_main(int argc, char **argv)
{
    struct settings settings;

    switch (settings_parse(argc, argv, &settings)) {
    case OPTIONS_HELPED:
        return EXIT_OK;
    case OPTIONS_WRONG:
        return EXIT_USAGE;
    default:
        break;
    }
    int code = run(&settings);
    settings_release(&settings);
    return code;
}
