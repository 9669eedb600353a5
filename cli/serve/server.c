/* SPDX-License-Identifier: MIT */
/* The loop, and a request's way through it.
 *
 * One thread does everything. It sleeps in ppoll on libmicrohttpd's epoll descriptor, the signals
 * and perhaps stdin, until the soonest delayed answer is due (later.h); waiting requests therefore
 * cost memory only, and nothing needs a lock.
 *
 *   begin() the request line is in          -> the exchange exists
 *   handle() its headers are in             -> its route is known, it is counted
 *   handle() its body, if any, is in        -> its route has made the answer
 *            [suspended until the answer is due]
 *   handle()                                -> the answer is queued, or the connection dropped
 *   end()   all is sent, or the client went -> the exchange is freed
 *
 * end() follows every begin(), also for requests that are malformed behind their first line. */
#include "site.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "routes.h"

static void *begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (x == NULL)
        return NULL; /* handle() drops the connection */
    x->site = cls;
    x->connection = connection;
    x->has_nul = strstr(uri, "%00") != NULL;
    return x;
}

static enum MHD_Result send_answer(struct exchange *x)
{
    if (x->response == NULL)
        return MHD_NO; /* closes the connection */
    enum MHD_Result rc = MHD_queue_response(x->connection, x->status, x->response);
    MHD_destroy_response(x->response); /* the queue holds a reference of its own */
    x->response = NULL;
    return rc;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **context)
{
    struct exchange *x = *context;

    (void)cls, (void)connection, (void)version, (void)upload;
    if (x == NULL)
        return MHD_NO;
    x->path = path;
    if (x->route == NULL) {
        x->head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
        route_find(x);
        route_begin(x);
        return MHD_YES;
    }
    if (*upload_bytes > 0) {
        *upload_bytes = 0; /* read and forgotten, so that the connection stays usable */
        return MHD_YES;
    }
    if (!x->answered) {
        site_answer(x, method);
        if (x->delay_ns > 0) {
            later_add(&x->site->later, x->connection, x->delay_ns);
            return MHD_YES;
        }
    }
    return send_answer(x);
}

static void end(void *cls, struct MHD_Connection *connection, void **context,
                enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *context;

    (void)cls, (void)connection, (void)why;
    if (x == NULL)
        return;
    if (x->route != NULL)
        route_end(x);
    if (x->response != NULL)
        MHD_destroy_response(x->response);
    free(x);
    *context = NULL;
}

static void count_connection(void *cls, struct MHD_Connection *connection, void **context,
                             enum MHD_ConnectionNotificationCode what)
{
    struct site *site = cls;

    (void)connection, (void)context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        stats_connection_opens(&site->stats);
    else
        stats_connection_closes(&site->stats);
    site->connection_changes++;
}

static struct MHD_Daemon *start(struct site *site, int fd, uint64_t connections_max)
{
    const struct MHD_OptionItem options[] = {
        { MHD_OPTION_LISTEN_SOCKET, fd, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connections_max, NULL },
        { MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)begin, site },
        { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)end, site },
        { MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)count_connection, site },
        { MHD_OPTION_END, 0, NULL },
    };

    /* Without TURBO, version 0.9.75 takes a short read for the end of what the edge-triggered epoll
     * told, and never sees a client that closed right behind its last bytes. */
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                            handle, site, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

/* How long nothing has to be done; NULL: until a descriptor wakes us. */
static const struct timespec *sleep_time(struct MHD_Daemon *daemon, const struct later *later,
                                         struct timespec *buffer)
{
    int64_t ns = later_left(later);
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(daemon, &ms) == MHD_YES && ms < INT64_MAX / 1000000 &&
        (ns < 0 || (int64_t)ms * 1000000 < ns))
        ns = (int64_t)ms * 1000000;
    if (ns < 0)
        return NULL;
    *buffer = (struct timespec){ ns / 1000000000, ns % 1000000000 };
    return buffer;
}

static bool at_eof(int fd)
{
    char discarded[4096];
    ssize_t n = read(fd, discarded, sizeof discarded);

    return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

/* At its limit of connections libmicrohttpd stops listening. It starts again only when it is run
 * after a connection has ended, so it must be before we sleep: nothing would wake us for a new one.
 */
static int run_requests(struct site *site, struct MHD_Daemon *daemon)
{
    uint64_t before;

    do {
        before = site->connection_changes;
        if (MHD_run(daemon) == MHD_NO)
            return -EIO;
    } while (site->connection_changes != before);
    return 0;
}

static int loop(struct site *site, struct MHD_Daemon *daemon, int signals, bool until_eof)
{
    enum { REQUESTS, SIGNALS, INPUT };
    struct pollfd fds[] = {
        { .fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN },
        { .fd = signals, .events = POLLIN },
        { .fd = until_eof ? STDIN_FILENO : -1, .events = POLLIN },
    };

    for (;;) {
        struct timespec buffer;
        if (ppoll(fds, 3, sleep_time(daemon, &site->later, &buffer), NULL) < 0 && errno != EINTR)
            return -errno;
        if (fds[SIGNALS].revents != 0)
            return 0;
        if (fds[INPUT].revents != 0 && at_eof(STDIN_FILENO))
            return 0;
        later_resume(&site->later);
        if (run_requests(site, daemon) < 0)
            return -EIO;
    }
}

static int announce(const char *ready)
{
    return puts(ready) < 0 || fflush(stdout) != 0 ? -errno : 0;
}

static int serve_until_told(struct site *site, int fd, int signals, uint64_t connections_max,
                            bool until_eof, const char *ready)
{
    struct MHD_Daemon *daemon = start(site, fd, connections_max);

    if (daemon == NULL) {
        fprintf(stderr, "weft serve: the server did not start: %s\n", strerror(errno));
        close(fd);
        return -EIO;
    }
    int rc = announce(ready);
    if (rc < 0)
        fprintf(stderr, "weft serve: standard output: %s\n", strerror(-rc));
    else if ((rc = loop(site, daemon, signals, until_eof)) < 0)
        fprintf(stderr, "weft serve: the server failed: %s\n", strerror(-rc));
    later_resume_all(&site->later);
    MHD_stop_daemon(daemon); /* ends every exchange and closes fd */
    return rc;
}

int server_run(struct site *site, int fd, uint64_t connections_max, bool until_eof,
               const char *ready)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || later_init(&site->later, connections_max) < 0) {
        int error = signals < 0 ? -errno : -ENOMEM;
        fprintf(stderr, "weft serve: %s\n", strerror(-error));
        if (signals >= 0)
            close(signals);
        close(fd);
        return error;
    }
    int rc = serve_until_told(site, fd, signals, connections_max, until_eof, ready);
    later_deinit(&site->later);
    flaky_forget(&site->flaky);
    close(signals);
    return rc;
}
