/* SPDX-License-Identifier: MIT */
/*
 * Introduces listeners, streams and signals: a chat over TCP. Every line that a client sends goes
 * to all the others; Ctrl-C ends the server cleanly.
 *
 *     05_chat_server [ADDRESS]          then, from several terminals: nc 127.0.0.1 PORT
 *
 * Each client has two tasks: one reads its lines, the other writes to it what the others say. In
 * between is a queue of BACKLOG lines per client. Nobody waits for a slow client: one whose queue
 * is full has missed a line, and is shown out rather than left with a conversation full of holes.
 * So is one whose line is longer than LINE_BYTES. A line that its client did not finish is dropped.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <weft.h>

enum { LINE_BYTES = 512, BACKLOG = 1024, WRITE_BYTES = 16 * LINE_BYTES };

/* One copy serves all the queues that it is in. */
struct line {
    atomic_int holders;
    size_t size;
    char text[];
};

struct client {
    weft_stream *stream;
    weft_queue *lines; /* of struct line *, for this client */
    struct client *next;
};

static weft_lock lock = WEFT_LOCK_INIT; /* guards what follows */
static struct client *clients;
static bool ending;
static unsigned long served;

/* Held by the caller. NULL: no memory. */
static struct line *line_new(const char *text, size_t size)
{
    struct line *line = malloc(sizeof *line + size);
    if (!line)
        return NULL;
    atomic_init(&line->holders, 1);
    line->size = size;
    memcpy(line->text, text, size);
    return line;
}

/* n holders let go. */
static void line_release(struct line *line, int n)
{
    if (atomic_fetch_sub(&line->holders, n) == n)
        free(line);
}

/* From the greeting on, a client hears all that is said. False: it cannot come in. */
static bool enter(struct client *me)
{
    static const char greeting[] = "Welcome\n";
    struct line *line = line_new(greeting, sizeof greeting - 1);
    weft_lock_lock(&lock);
    bool welcome = line && !ending && weft_queue_put(me->lines, &line, WEFT_NOW) == 0;
    if (welcome) {
        me->next = clients;
        clients = me;
        served++;
    }
    weft_lock_release(&lock);
    if (line && !welcome)
        line_release(line, 1);
    return welcome;
}

static void leave(struct client *me)
{
    weft_lock_lock(&lock);
    struct client **at = &clients;
    while (*at && *at != me)
        at = &(*at)->next;
    if (*at)
        *at = me->next;
    weft_lock_release(&lock);
}

/* Its tasks find the stream ended, and tidy up themselves. */
static void show_out(struct client *client)
{
    (void)!weft_stream_shutdown(client->stream, SHUT_RDWR);
}

static int say(struct client *me, const char *text, size_t size)
{
    struct line *line = line_new(text, size);
    if (!line)
        return -ENOMEM;
    int kept = 1; /* of the line's holders: this task, and those who did not get it */
    weft_lock_lock(&lock);
    for (struct client *other = clients; other; other = other->next) {
        if (other == me)
            continue;
        atomic_fetch_add(&line->holders, 1);
        if (weft_queue_put(other->lines, &line, WEFT_NOW) < 0) {
            kept++;
            show_out(other);
        }
    }
    weft_lock_release(&lock);
    line_release(line, kept);
    return 0;
}

static int read_lines(struct client *me)
{
    char text[LINE_BYTES];
    ssize_t n;
    while ((n = weft_stream_read_until(me->stream, text, sizeof text, '\n', WEFT_FOREVER)) > 0)
        if (say(me, text, (size_t)n) < 0)
            return -ENOMEM;
    return (int)n; /* 0: the client has left; else it was reset, unfinished, too long */
}

/* Writes what is in the queue, as much at once as fits. */
static int write_lines(weft_call *call)
{
    struct client *me = call->pointer;
    struct line *line;
    char text[WRITE_BYTES];
    while (weft_queue_get(me->lines, &line, WEFT_FOREVER) == 0) {
        size_t size = 0;
        do {
            memcpy(text + size, line->text, line->size);
            size += line->size;
            line_release(line, 1);
        } while (size + LINE_BYTES <= sizeof text &&
                 weft_queue_get(me->lines, &line, WEFT_NOW) == 0);
        if (weft_stream_write(me->stream, text, size, WEFT_FOREVER) < 0)
            break;
    }
    show_out(me);
    return 0;
}

/* A client, from its coming to its going. What happens to it is no failure of the server's. */
static int serve(weft_call *call)
{
    struct client me = { .stream = *(weft_stream *const *)call->arg };
    weft_group *writer = NULL;
    struct line *line;
    int rc = weft_queue_open(&me.lines, sizeof line, BACKLOG, 0);
    if (rc == 0)
        rc = weft_group_open(&writer, WEFT_TASKS, &(weft_options){ .name = "writer" });
    if (rc == 0)
        rc = weft_group_start(writer, write_lines, &me, WEFT_POINTER);
    if (rc == 0 && enter(&me)) {
        (void)read_lines(&me);
        leave(&me);
    }
    weft_group_close(writer); /* ends it, wherever it waits */
    while (me.lines && weft_queue_get(me.lines, &line, WEFT_NOW) == 0)
        line_release(line, 1);
    weft_queue_close(me.lines);
    weft_stream_close(me.stream);
    return 0;
}

struct door {
    weft_listener *listener;
    weft_group *inside;
};

static int welcome(weft_call *call)
{
    struct door *door = call->pointer;
    weft_stream *stream;
    int rc;
    while ((rc = weft_listener_accept(door->listener, &stream, WEFT_FOREVER)) != -EPIPE)
        if (rc == 0 && weft_group_start(door->inside, serve, &stream, sizeof stream) < 0)
            weft_stream_close(stream); /* no room for another: the next one may have more luck */
    return 0;
}

/* Lets the clients in until a signal comes, then shows all of them out. */
static int chat(weft_listener *listener, weft_queue *signals)
{
    weft_options names = { .name = "client" };
    struct door door = { .listener = listener };
    weft_group *porter = NULL;
    int signo, rc = weft_group_open(&door.inside, WEFT_TASKS, &names);
    if (rc == 0)
        rc = weft_group_open(&porter, WEFT_TASKS, &(weft_options){ .name = "porter" });
    if (rc == 0)
        rc = weft_group_start(porter, welcome, &door, WEFT_POINTER);
    if (rc == 0)
        rc = weft_queue_get(signals, &signo, WEFT_FOREVER);
    weft_listener_shutdown(listener);
    if (porter && weft_group_join(porter, WEFT_FOREVER) < 0)
        rc = -EIO;
    weft_lock_lock(&lock);
    ending = true;
    for (struct client *client = clients; client; client = client->next)
        show_out(client);
    weft_lock_release(&lock);
    /* Not cancelled: a task that has not begun must still close its stream. */
    if (door.inside && weft_group_join(door.inside, WEFT_FOREVER) < 0)
        rc = -EIO;
    weft_group_close(porter);
    weft_group_close(door.inside);
    return rc;
}

int main(int argc, char **argv)
{
    char address[WEFT_ADDRESS_BYTES];
    weft_listener *listener = NULL;
    weft_queue *signals = NULL;
    int rc = weft_queue_open(&signals, sizeof(int), 16, 0);
    if (rc == 0)
        rc = weft_signal_forward(SIGINT, signals);
    if (rc == 0)
        rc = weft_listener_open(&listener, argc > 1 ? argv[1] : "127.0.0.1:0", 0);
    if (rc == 0)
        rc = weft_listener_address(listener, address, sizeof address);
    if (rc == 0) {
        printf("Listening at %s\n", address);
        fflush(stdout);
        rc = chat(listener, signals);
    }
    weft_listener_close(listener);
    weft_signal_stop(SIGINT);
    weft_queue_close(signals);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
    else
        printf("Served %lu clients\n", served);
    return rc < 0;
}
