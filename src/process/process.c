/* SPDX-License-Identifier: MIT */
/*
 * process/process.c: a process, as its owner sees it: its start, what it says, its end.
 *
 * The owner holds one end of the channel and a pidfd, by which signals reach this process or none.
 * What comes by the channel, in this order: STARTED or FAILED; READY; BELL, whenever there is news
 * in the lane and the owner wants to be told so; END with the wait status, from the zygote, when
 * the process was reaped. The end of the channel without END means that the zygote has died, which
 * takes the process with it.
 *
 *   RUNNING --END--> ENDED     end says how
 *      \---channel ends--> LOST     nobody knows how
 *
 * Only the strand that uses the process changes its state; the pidfd is constant once it has
 * started, so that any strand may signal.
 *
 * In a child that the user forked, the struct is there but the process is not its own: nothing is
 * sent, read or killed.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/participants.h"
#include "process/ask.h"
#include "process/channel.h"
#include "process/code.h"
#include "process/descriptors.h"
#include "process/origin.h"
#include "process/process.h"
#include "process/zygote.h"

/* Room for a few parts of a large context on their way; the system may allow less. */
#define SOCKET_BYTES (1 << 19)

enum state { RUNNING, ENDED, LOST };

struct process {
    struct channel channel;
    enum state state;
    struct process_end end;         /* if ENDED */
    bool by_number;                 /* how functions travel to it (code.h); constant */
    int control;                    /* of the zygote that was asked: borrowed, constant */
    int pidfd;                      /* constant once it has started, as is pid */
    pid_t pid;                      /* -1: not heard of yet; 0: there is none */
    struct process_options options; /* what is borrowed: until it has started */
    char name[16];
};

static void note_end(struct process *process, int status)
{
    process->state = ENDED;
    if (WIFSIGNALED(status))
        process->end = (struct process_end){ .signal = WTERMSIG(status) };
    else
        process->end = (struct process_end){ .exit_code = WEXITSTATUS(status) };
}

/* Of a process that is known to be on its way. */
static void wait_for_death(pid_t pid)
{
    struct pollfd end = { .fd = descriptors_of_process(pid), .events = POLLIN };
    while (end.fd >= 0 && poll(&end, 1, -1) < 0 && errno == EINTR)
        ;
    descriptors_close(end.fd);
}

/* Receives the next message. Returns 0; -EPIPE: it has ended or is lost; -EAGAIN: not to wait. */
static int receive(struct process *process, bool wait)
{
    if (process->state != RUNNING || zygote_is_strange())
        return -EPIPE;
    int rc = channel_receive(&process->channel, wait);
    if (rc == -EPIPE) {
        process->state = LOST;
        if (process->pid > 0) /* else there was none, and the zygote may well live */
            participants_bury_family(process->pid, wait_for_death);
    } else if (rc == 0 && process->channel.first.type == CHANNEL_END) {
        note_end(process, (int)process->channel.first.value);
        rc = -EPIPE;
    }
    return rc;
}

/* ---- start */

/* Makes the pair of sockets and asks the zygote. Returns our end or -errno. */
static int open_channel(int control)
{
    int ends[2], bytes = SOCKET_BYTES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    int rc = ask_for_process(control, ends[1]);
    close(ends[1]);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    return descriptors_raise(ends[0]);
}

/* What comes before the setup. */
static int send_surroundings(struct process *process, const struct surroundings *all)
{
    return channel_send(process->channel.fd, CHANNEL_SURROUNDINGS, &all->head, sizeof all->head,
                        all->body, all->body_bytes);
}

/* A process that dies of it is found dead by what comes next. */
static int send_setup(struct process *process)
{
    const struct process_options *options = &process->options;
    const struct process_origin *origin = options->origin;
    bool has_body = options->context && options->context_bytes != WEFT_POINTER;
    struct setup_head head = {
        .enter = code_word((code *)options->enter, process->by_number),
        .leave = code_word((code *)options->leave, process->by_number),
        .context = has_body ? NULL : (void *)options->context,
        .lane = options->lane,
        .has_body = has_body,
        .memory_bytes_max = origin ? origin->memory_bytes_max : 0,
        .worker = options->worker,
    };
    memcpy(head.name, process->name, sizeof head.name);
    int rc = origin ? send_surroundings(process, &origin->surroundings) : 0;
    if (rc == 0)
        rc = channel_send(process->channel.fd, CHANNEL_SETUP, &head, sizeof head, options->context,
                          has_body ? options->context_bytes : 0);
    return rc == -EPIPE ? 0 : rc;
}

/* It says that it exists, or the zygote that it does not. Returns 0: it has got what it needs. */
static int begin(struct process *process)
{
    struct channel *channel = &process->channel;
    if (channel->first.type == CHANNEL_FAILED) {
        process->pid = 0;
        return -(int)channel->first.value;
    }
    process->pid = (pid_t)channel->first.value;
    process->pidfd = channel->passed_fd;
    channel->passed_fd = -1;
    return process->pidfd < 0 ? -EMFILE : send_setup(process);
}

/* Why nothing was heard of it. */
static int why_not_started(const struct process *process)
{
    if (process->state == ENDED)
        return -EAGAIN; /* it was killed at once: by the system, for want of memory */
    return zygote_alive(process->control)
               ? -EMFILE
               : -EPIPE; /* alive: it had no descriptor for the channel */
}

int process_ask(struct process **ret, const struct process_options *options)
{
    struct process *process = calloc(1, sizeof *process);
    if (!process)
        return -ENOMEM;
    int control = origin_control(options->origin), fd = open_channel(control);
    if (fd < 0) {
        free(process);
        return fd;
    }
    channel_init(&process->channel, fd);
    process->state = RUNNING;
    process->by_number = origin_by_number(options->origin);
    process->control = control;
    process->pid = -1;
    process->pidfd = -1;
    process->options = *options;
    if (options->name)
        strncpy(process->name, options->name, sizeof process->name - 1);
    *ret = process;
    return 0;
}

static void free_process(struct process *process)
{
    descriptors_close(process->pidfd);
    channel_deinit(&process->channel);
    free(process);
}

int process_open(struct process **ret, const struct process_options *options)
{
    struct process *process;
    int rc = process_ask(&process, options);
    if (rc < 0)
        return rc;
    rc = receive(process, true) < 0 ? why_not_started(process) : begin(process);
    if (rc < 0) { /* if it lives, it ends when the channel does, and the zygote reaps it */
        free_process(process);
        return rc;
    }
    *ret = process;
    return 0;
}

/* ---- what it says */

int process_fd(const struct process *process)
{
    return process->channel.fd;
}

static enum process_news news_of_start(struct process *process, struct process_result *failure)
{
    int rc = begin(process);
    if (rc == 0)
        return PROCESS_HAS_STARTED;
    shutdown(process->channel.fd, SHUT_WR); /* it finds that no setup comes, and ends */
    *failure = (struct process_result){ .status = rc };
    return PROCESS_NOT_STARTED;
}

static enum process_news news_of_enter(const struct process *process,
                                       struct process_result *failure)
{
    const struct ready_head *head = &process->channel.head.ready;
    if (head->status >= 0)
        return PROCESS_IS_READY;
    failure->status = head->status;
    memcpy(failure->text, head->text, sizeof failure->text);
    return PROCESS_REFUSED;
}

static enum process_news news_of_end(struct process *process, struct process_result *failure,
                                     struct process_end *end)
{
    if (process->pid < 0) {
        *failure = (struct process_result){ .status = why_not_started(process) };
        process->pid = 0; /* said once */
        return PROCESS_NOT_STARTED;
    }
    *end = process->state == ENDED ? process->end : (struct process_end){ .signal = SIGKILL };
    return PROCESS_ENDED;
}

enum process_news process_look(struct process *process, struct process_result *failure,
                               struct process_end *end)
{
    int rc = receive(process, false);
    if (rc == -EPIPE)
        return news_of_end(process, failure, end);
    if (rc < 0)
        return PROCESS_SILENT;
    switch (process->channel.first.type) {
    case CHANNEL_STARTED:
    case CHANNEL_FAILED:
        return news_of_start(process, failure);
    case CHANNEL_READY:
        return news_of_enter(process, failure);
    default:
        return PROCESS_RANG;
    }
}

pid_t process_id(const struct process *process)
{
    return process->pid;
}

/* ---- end */

void process_signal(struct process *process, int signo)
{
    if (!zygote_is_strange())
        (void)descriptors_signal(process->pidfd, signo); /* ESRCH: it has ended */
}

/* Kills it; one that has not been heard of yet ends when it finds that no setup comes. */
static void end_now(struct process *process)
{
    process_signal(process, SIGKILL);
    if (!zygote_is_strange())
        shutdown(process->channel.fd, SHUT_WR);
    while (receive(process, true) == 0)
        ; /* what nobody wants to hear any more */
}

void process_close(struct process *process)
{
    if (!process)
        return;
    if (process->state == RUNNING)
        end_now(process);
    free_process(process);
}

void process_end_describe(const struct process_end *end, char *text, size_t size)
{
    if (end->signal)
        snprintf(text, size, "killed by signal %d (%s)", end->signal, strsignal(end->signal));
    else
        snprintf(text, size, "exited with code %d", end->exit_code);
}
