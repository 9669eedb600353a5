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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/program.h>

#include "base/atomic.h"
#include "base/participants.h"
#include "process/channel.h"
#include "process/descriptors.h"
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
    uint32_t *begun; /* shared with the process: whether it has begun a call; NULL: no memory */
    int pidfd;       /* constant after process_open() */
    pid_t pid;
};

static void note_end(struct process *process, int status)
{
    process->state = ENDED;
    if (WIFSIGNALED(status))
        process->end = (struct process_end){ .signal = WTERMSIG(status) };
    else
        process->end = (struct process_end){ .exit_code = WEXITSTATUS(status) };
}

/* Of a process that has lost its zygote, and so has been killed. Returns true. */
static bool wait_for_death(pid_t pid)
{
    struct pollfd end = { .fd = descriptors_of_process(pid), .events = POLLIN };
    while (end.fd >= 0 && poll(&end, 1, -1) < 0 && errno == EINTR)
        ;
    descriptors_close(end.fd);
    return true;
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
        participants_bury_others(wait_for_death);
    } else if (rc == 0 && process->channel.first.type == CHANNEL_END) {
        note_end(process, (int)process->channel.first.value);
        rc = -EPIPE;
    }
    return rc;
}

/* ---- start */

/* Makes the pair of sockets and asks the zygote. Returns our end or -errno. */
static int ask_for_process(void)
{
    int ends[2], bytes = SOCKET_BYTES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    int rc = zygote_ask(ends[1]);
    close(ends[1]);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    return descriptors_raise(ends[0]);
}

/* Waits until the process says that it exists, or the zygote that it does not. */
static int receive_start(struct process *process)
{
    struct channel *channel = &process->channel;
    int rc = receive(process, NULL);
    if (rc < 0) {
        if (process->state == ENDED)
            return -EAGAIN; /* it was killed at once: by the system, for want of memory */
        return zygote_alive() ? -EMFILE : -EPIPE; /* alive: it had no descriptor for the channel */
    }
    if (channel->first.type == CHANNEL_FAILED)
        return -(int)channel->first.value;
    process->pid = (pid_t)channel->first.value;
    process->pidfd = channel->passed_fd;
    channel->passed_fd = -1;
    return process->pidfd < 0 ? -EMFILE : 0;
}

/* A process that dies of it is found dead by what comes next. */
static int send_setup(struct process *process, const struct process_options *options)
{
    bool has_body = options->context && options->context_bytes != WEFT_POINTER;
    struct setup_head head = {
        .enter = options->enter,
        .leave = options->leave,
        .context = has_body ? NULL : (void *)options->context,
        .begun = process->begun,
        .has_body = has_body,
    };
    if (options->name)
        strncpy(head.name, options->name, sizeof head.name - 1);
    int rc = channel_send(process->channel.fd, CHANNEL_SETUP, &head, sizeof head, options->context,
                          has_body ? options->context_bytes : 0);
    return rc == -EPIPE ? 0 : rc;
}

int process_open(struct process **ret, const struct process_options *options)
{
    struct process *process = malloc(sizeof *process);
    if (!process)
        return -ENOMEM;
    int fd = ask_for_process();
    if (fd < 0) {
        free(process);
        return fd;
    }
    channel_init(&process->channel, fd);
    process->state = RUNNING;
    process->ready = false;
    process->pidfd = -1;
    process->begun = NULL;
    int rc = receive_start(process);
    if (rc == 0) {
        process->begun = weft_shared_alloc(64); /* a cache line of its own */
        rc = send_setup(process, options);
    }
    if (rc < 0) { /* if it lives, it ends when the channel does, and the zygote reaps it */
        weft_shared_free(process->begun);
        descriptors_close(process->pidfd);
        channel_deinit(&process->channel);
        free(process);
        return rc;
    }
    *ret = process;
    return 0;
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
    struct call_head head = { .fn = fn,
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
    descriptors_close(process->pidfd);
    channel_deinit(&process->channel);
    free(process);
}
