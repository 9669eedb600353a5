/* SPDX-License-Identifier: MIT */
/* The server's tasks, and its end.
 *
 *   main thread   starts the others, then waits for the first reason to end: items in `ends`
 *   acceptor      a task: takes a permit, then a connection, and starts a task for that
 *   connections   a task each: connection.c; gives its permit back at the end
 *   input         a task that reads stdin to its end, if that is a reason
 *
 * All tasks belong to one group. The end cancels it: whoever waits goes at once, what is being sent
 * is sent (outgoing.c), and closing the group waits for the last of them. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"

enum {
    ENDS_MAX = 16,
    STACK_BYTES = 256 << 10, /* a connection with its buffers needs half of it */
};

struct server {
    struct site *site;
    weft_listener *listener;
    weft_group *group;
    weft_queue *ends;       /* of ints: a signal's number; 0: the end of stdin; -errno: a failure */
    weft_semaphore permits; /* for connections */
};

struct client {
    struct server *server;
    weft_stream *stream; /* owned */
};

static void tell_end(struct server *server, int why)
{
    /* If it is full, there are reasons enough. */
    (void)!weft_queue_put(server->ends, &why, WEFT_NOW);
}

static void end_client(struct client *client)
{
    struct server *server = client->server;

    weft_lock_lock(&server->site->lock);
    stats_connection_closes(&server->site->stats);
    weft_lock_release(&server->site->lock);
    weft_stream_close(client->stream);
    weft_semaphore_release(&server->permits, 1);
}

static int serve_client(weft_call *call)
{
    struct client client = *(const struct client *)call->arg;

    connection_run(client.server->site, client.stream);
    end_client(&client);
    return 0;
}

/* A client that there is no memory for is sent away. */
static void start_client(struct server *server, weft_stream *stream)
{
    struct client client = { server, stream };

    weft_lock_lock(&server->site->lock);
    stats_connection_opens(&server->site->stats);
    weft_lock_release(&server->site->lock);
    if (weft_group_start(server->group, serve_client, &client, sizeof client) < 0)
        end_client(&client);
}

/* What passes by itself: accepting then waits a little before it tries again. */
static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

static int accept_clients(weft_call *call)
{
    struct server *server = call->pointer;
    weft_stream *stream;
    int rc;

    while ((rc = weft_semaphore_acquire(&server->permits, WEFT_FOREVER)) == 0) {
        do
            rc = weft_listener_accept(server->listener, &stream, WEFT_FOREVER);
        while (is_shortage(rc));
        if (rc < 0)
            break;
        start_client(server, stream);
    }
    if (rc != -ECANCELED)
        tell_end(server, rc);
    return 0;
}

static bool at_eof(int fd)
{
    char discarded[4096];
    ssize_t n = read(fd, discarded, sizeof discarded);

    return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

static int watch_input(weft_call *call)
{
    struct server *server = call->pointer;
    int rc;

    while ((rc = weft_fd_wait(STDIN_FILENO, POLLIN, WEFT_FOREVER)) >= 0 && !at_eof(STDIN_FILENO))
        ;
    if (rc != -ECANCELED)
        tell_end(server, 0); /* a stdin that was closed has ended, too */
    return 0;
}

static int announce(const char *ready)
{
    return puts(ready) < 0 || fflush(stdout) != 0 ? -errno : 0;
}

static int start(struct server *server, bool until_eof)
{
    int rc = weft_group_start(server->group, accept_clients, server, WEFT_POINTER);

    if (rc == 0 && until_eof)
        rc = weft_group_start(server->group, watch_input, server, WEFT_POINTER);
    return rc;
}

static int run(struct server *server, bool until_eof, const char *ready)
{
    int why;
    int rc = start(server, until_eof);

    if (rc < 0) {
        fprintf(stderr, "weft serve: the server did not start: %s\n", weft_strerror(rc));
        return rc;
    }
    rc = announce(ready);
    if (rc < 0) {
        fprintf(stderr, "weft serve: standard output: %s\n", strerror(-rc));
        return rc;
    }
    rc = weft_queue_get(server->ends, &why, WEFT_FOREVER);
    if (rc == 0 && why < 0)
        rc = why;
    if (rc < 0)
        fprintf(stderr, "weft serve: the server failed: %s\n", weft_strerror(rc));
    return rc;
}

static int open_server(struct server *server)
{
    const weft_options options = {
        .name = "client",
        .on_failure = WEFT_GO_ON,
        .stack_bytes = STACK_BYTES,
    };
    int rc = weft_queue_open(&server->ends, sizeof(int), ENDS_MAX, 0);

    if (rc == 0)
        rc = weft_group_open(&server->group, WEFT_TASKS, &options);
    if (rc == 0)
        rc = weft_signal_forward(SIGINT, server->ends);
    if (rc == 0)
        rc = weft_signal_forward(SIGTERM, server->ends);
    if (rc < 0)
        fprintf(stderr, "weft serve: %s\n", weft_strerror(rc));
    return rc;
}

/* The signals come last: another one while the tasks end changes nothing. */
static void close_server(struct server *server)
{
    weft_listener_shutdown(server->listener);
    weft_group_close(server->group);
    weft_listener_close(server->listener);
    (void)weft_signal_stop(SIGINT);
    (void)weft_signal_stop(SIGTERM);
    weft_queue_close(server->ends);
    flaky_forget(&server->site->flaky);
}

int server_run(struct site *site, weft_listener *listener, uint64_t connections_max, bool until_eof,
               const char *ready)
{
    struct server server = { .site = site, .listener = listener };

    weft_semaphore_init(&server.permits, (uint32_t)connections_max, 0);
    int rc = open_server(&server);
    if (rc == 0)
        rc = run(&server, until_eof, ready);
    close_server(&server);
    return rc;
}
