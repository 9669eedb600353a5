/* SPDX-License-Identifier: MIT */
/*
 * process/process.c: a process, as its owner sees it.
 *
 * The owner holds one end of the channel and a pidfd, by which signals reach this process or none.
 * What comes by the channel, in this order: STARTED or FAILED; READY; RESULT per call; END with the
 * wait status, from the zygote, when the process was reaped. The end of the channel without END
 * means that the zygote has died, which takes the process with it.
 *
 *   RUNNING --END--> ENDED     end says how
 *      \---channel ends--> LOST     nobody knows how
 *
 * Only the strand that uses the process changes its state; the pidfd is constant, so that any
 * strand may signal.
 *
 * In a child that the user forked, the struct is there but the process is not its own: nothing is
 * sent, read or killed.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/program.h>

#include "base/atomic.h"
#include "base/participants.h"
#include "process/ask.h"
#include "process/channel.h"
#include "process/code.h"
#include "process/descriptors.h"
#include "process/origin.h"
#include "process/process.h"
#include "process/zygote.h"
#include "strand/call.h"

/* Room for a few parts of a large message on their way; the system may allow less. */
#define SOCKET_BYTES (1 << 19)

enum state { RUNNING, ENDED, LOST };

struct process {
    struct channel channel;
    enum state state;
    struct process_end end; /* if ENDED */
    bool ready;
    bool by_number;  /* how functions travel to it (code.h); constant */
    int control;     /* of the zygote that was asked: borrowed, constant */
    uint32_t *begun; /* shared with the process: whether it has begun a call; NULL: no memory */
    int pidfd;       /* constant once it has started, as is pid */
    pid_t pid;
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

/* Receives the next message. Returns 0; -EPIPE: it has ended or is lost; or as channel_receive().
 */
static int receive(struct process *process, const weft_deadline *deadline)
{
    if (process->state != RUNNING || zygote_is_strange())
        return -EPIPE;
    int rc = channel_receive(&process->channel, deadline);
    if (rc == -EPIPE) {
        process->state = LOST;
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

/* The process has said that it exists. */
static int take_start(struct process *process)
{
    struct channel *channel = &process->channel;
    process->pid = (pid_t)channel->first.value;
    process->pidfd = channel->passed_fd;
    channel->passed_fd = -1;
    return process->pidfd < 0 ? -EMFILE : 0;
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

/* Waits until the process says that it exists, or the zygote that it does not. */
static int receive_start(struct process *process)
{
    if (receive(process, NULL) < 0)
        return why_not_started(process);
    if (process->channel.first.type == CHANNEL_FAILED)
        return -(int)process->channel.first.value;
    return take_start(process);
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
        .begun = process->begun,
        .lane = options->lane,
        .has_body = has_body,
        .memory_bytes_max = origin ? origin->memory_bytes_max : 0,
    };
    memcpy(head.name, process->name, sizeof head.name);
    int rc = origin ? send_surroundings(process, &origin->surroundings) : 0;
    if (rc == 0)
        rc = channel_send(process->channel.fd, CHANNEL_SETUP, &head, sizeof head, options->context,
                          has_body ? options->context_bytes : 0);
    return rc == -EPIPE ? 0 : rc;
}

int process_ask(struct process **ret, const struct process_options *options)
{
    struct process *process = malloc(sizeof *process);
    if (!process)
        return -ENOMEM;
    int control = origin_control(options->origin), fd = open_channel(control);
    if (fd < 0) {
        free(process);
        return fd;
    }
    channel_init(&process->channel, fd);
    process->state = RUNNING;
    process->ready = false;
    process->by_number = origin_by_number(options->origin);
    process->control = control;
    process->pid = -1;
    process->pidfd = -1;
    process->begun = NULL;
    process->options = *options;
    memset(process->name, 0, sizeof process->name);
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
    rc = receive_start(process);
    if (rc == 0) {
        process->begun = weft_shared_alloc(64); /* a cache line of its own */
        rc = send_setup(process);
    }
    if (rc < 0) { /* if it lives, it ends when the channel does, and the zygote reaps it */
        weft_shared_free(process->begun);
        free_process(process);
        return rc;
    }
    *ret = process;
    return 0;
}

int process_fd(const struct process *process)
{
    return process->channel.fd;
}

/* ---- watching */

/* It says that it exists. */
static enum process_news begin(struct process *process, struct process_result *failure)
{
    int rc = take_start(process);
    if (rc == 0)
        rc = send_setup(process);
    if (rc == 0)
        return PROCESS_HAS_STARTED;
    shutdown(process->channel.fd, SHUT_RDWR); /* it ends, without what it was to know */
    *failure = (struct process_result){ .status = rc };
    return PROCESS_NOT_STARTED;
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

static enum process_news news_of_enter(struct process *process, struct process_result *failure)
{
    process->ready = process->channel.head.result.status >= 0;
    if (process->ready)
        return PROCESS_IS_READY;
    *failure = (struct process_result){ .status = process->channel.head.result.status };
    memcpy(failure->text, process->channel.head.result.text, sizeof failure->text);
    return PROCESS_REFUSED;
}

enum process_news process_look(struct process *process, struct process_result *failure,
                               struct process_end *end)
{
    const weft_deadline now = WEFT_NOW;
    int rc = receive(process, &now);
    if (rc == -EPIPE)
        return news_of_end(process, failure, end);
    if (rc < 0)
        return PROCESS_SILENT;
    switch (process->channel.first.type) {
    case CHANNEL_STARTED:
        return begin(process, failure);
    case CHANNEL_READY:
        return news_of_enter(process, failure);
    case CHANNEL_FAILED:
        *failure = (struct process_result){ .status = -(int)process->channel.first.value };
        process->pid = 0; /* there is none, and its end was said */
        return PROCESS_NOT_STARTED;
    default:
        return PROCESS_RANG;
    }
}

/* ---- calls */

static int take_result(struct process *process, struct process_result *ret)
{
    struct channel *channel = &process->channel;
    const struct result_head *head = &channel->head.result;
    struct process_result result = { .status = head->status };
    if (head->has_body) {
        result.result_bytes = channel->first.body_bytes;
        result.result = channel_take_body(channel);
        if (!result.result)
            return -ENOMEM;
    }
    memcpy(result.text, head->text, sizeof result.text);
    *ret = result;
    return 0;
}

int process_ready(struct process *process, struct process_result *failure, weft_deadline deadline)
{
    if (process->ready)
        return 0;
    int rc = receive(process, &deadline);
    if (rc < 0)
        return rc;
    if (process->channel.head.result.status >= 0) {
        process->ready = true;
        return 0;
    }
    rc = take_result(process, failure);
    return rc < 0 ? rc : -ECHILD;
}

int process_send(struct process *process, weft_fn *fn, const weft_call *call)
{
    struct call_head head = { .fn = code_word((code *)fn, process->by_number),
                              .pointer = call->pointer,
                              .index = call->index,
                              .ret_bytes = call->ret_bytes,
                              .attempt = call->attempt,
                              .has_body = call->arg != NULL };
    if (process->state != RUNNING || zygote_is_strange())
        return 0;
    if (process->begun)
        store_relaxed(process->begun, 0); /* relaxed: the message that follows orders it */
    int rc = channel_send(process->channel.fd, CHANNEL_CALL, &head, sizeof head, call->arg,
                          call->arg ? call->arg_bytes : 0);
    if (rc == -EPIPE)
        return 0;
    if (rc < 0)
        process_signal(process, SIGKILL); /* it may wait for the rest of the message */
    return rc;
}

int process_receive(struct process *process, struct process_result *ret, weft_deadline deadline)
{
    for (;;) {
        int rc = receive(process, &deadline);
        if (rc < 0)
            return rc;
        if (process->channel.first.type == CHANNEL_RESULT)
            return take_result(process, ret);
        process->ready = process->channel.head.result.status >= 0; /* READY that nobody awaited */
    }
}

bool process_began(const struct process *process)
{
    /* relaxed: the word of the end, which the zygote sent, orders it */
    return !process->begun || load_relaxed(process->begun);
}

/* ---- end */

void process_signal(struct process *process, int signo)
{
    if (!zygote_is_strange())
        (void)descriptors_signal(process->pidfd, signo); /* ESRCH: it has ended */
}

pid_t process_id(const struct process *process)
{
    return process->pid;
}

void process_finish(struct process *process)
{
    if (!zygote_is_strange())
        shutdown(process->channel.fd, SHUT_WR); /* it reads what was sent, then the end */
}

static int wait_for_end(struct process *process, const weft_deadline *deadline)
{
    int rc;
    while ((rc = receive(process, deadline)) == 0)
        ; /* a result that nobody wants */
    return rc;
}

int process_wait(struct process *process, struct process_end *ret, weft_deadline deadline)
{
    int rc = wait_for_end(process, &deadline);
    if (process->state != ENDED)
        return rc;
    *ret = process->end;
    return 0;
}

void process_close(struct process *process)
{
    if (!process)
        return;
    if (process->state == RUNNING) {
        process_signal(process, SIGKILL);
        wait_for_end(process, NULL);
    }
    if (process->state == ENDED)
        weft_shared_free(process->begun); /* else the process may still write to it */
    free_process(process);
}
