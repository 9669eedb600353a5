/* SPDX-License-Identifier: MIT */
/*
 * process/zygote.c: the zygote: a process of one thread that forks the others and reaps them.
 *
 * It waits, in one poll(), for five things:
 *
 *   a request on the control socket    from the program, or from a process that it forked before
 *   the end of the program             a pidfd says so, however the program died
 *   SIGCHLD, by a signalfd             a child ended: its owner is told its wait status
 *   room in a channel                  for the word of an end that did not fit
 *   the owner's end of a channel       closed, by an epoll of all: nobody wants its child any more
 *
 * Who dies with whom. The children die with the zygote (PR_SET_PDEATHSIG, which follows the thread
 * that forked: the zygote has but one). The zygote ends with the program and kills its children
 * first. It does not use PR_SET_PDEATHSIG itself: the program's first thread may end long before
 * the program does. When a child ends, the processes that it had asked for are killed. Who calls
 * exec() lives on but closes its channels: a child whose channel hangs up is killed, so it need not
 * look at it itself while it runs a call, or sleeps.
 *
 * A child's life, as the zygote sees it:
 *
 *   request --fork--> running --reaped--> ended --its owner was told, or is gone--> forgotten
 *
 * The zygote keeps the child's end of the channel until then, so the word of the end is the last
 * that the owner reads; no word and the end of the channel means that the zygote died.
 *
 * All signals are blocked but those that cannot be: no handler of the program ever runs here, and a
 * SIGTERM to the whole group leaves it to the program to end. Only this process ever signals its
 * children by id; they are unreaped at that time, so no id is ever somebody else's.
 *
 * It also keeps descriptors that one process passes to another (tickets.c). Every request is
 * answered at once, and nothing here ever blocks.
 *
 * What the dead have left half done in shared memory, the living find by the death epoch
 * (base/participants.h): the zygote gives each child its number there, and buries it.
 *
 * Owners are known by the id that the kernel attaches to a request. Requests are read before the
 * dead are reaped, so a request of a process that has died since is still known for what it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/participants.h"
#include "park/trace.h"
#include "process/channel.h"
#include "process/descriptors.h"
#include "process/image.h"
#include "process/shared.h"
#include "process/tickets.h"
#include "process/worker.h"
#include "process/zygote.h"

struct child {
    pid_t pid, owner;
    uint32_t participant; /* in shared memory */
    int channel;          /* the child's end */
    int status;           /* once ended */
    bool ended;           /* reaped, and the owner not told yet */
};

enum { POLL_CONTROL, POLL_PROGRAM, POLL_SIGNAL, POLL_OWNERS, POLL_CHILDREN };

enum { EVENTS = 64 }; /* more wait for their turn */

static struct zygote_home home;
static int signal_fd;
static int owners; /* epoll: the channels, by descriptor; hears of the end of an owner, once */
static pid_t own_id;
static struct rlimit files; /* the program's limit */
static char program_name[16];

static struct child *children; /* in no order */
static struct pollfd *polls;   /* room for all children and POLL_CHILDREN more */
static size_t count, room;

/* ---- the child, up to its first own instruction */

__attribute__((noreturn)) static void become_child(const int descriptors[ZYGOTE_DESCRIPTORS],
                                                   uint32_t participant)
{
    participant_become(participant);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != own_id)
        _exit(EXIT_FAILURE); /* it died before we asked for the signal */
    prctl(PR_SET_NAME, program_name);
    (void)!fchdir(descriptors[ZYGOTE_DIRECTORY]);
    setrlimit(RLIMIT_NOFILE, &files);
    int control = descriptors[ZYGOTE_CONTROL], channel = descriptors[ZYGOTE_CHANNEL];
    int broker = zygote_broker() < 0 ? control : zygote_broker();
    int keep[] = { control, broker, channel, shared_place().fd, trace_descriptor() };
    descriptors_keep(keep, sizeof keep / sizeof *keep);
    zygote_adopt(control, broker, channel);
    sigprocmask(SIG_SETMASK, &home.signals, NULL);
    worker_run(channel);
}

/* ---- requests */

static bool reserve_child(void)
{
    if (count < room)
        return true;
    size_t more = room ? 2 * room : 16;
    struct child *grown = realloc(children, more * sizeof *children);
    if (!grown)
        return false;
    children = grown;
    struct pollfd *grown_polls = realloc(polls, (more + POLL_CHILDREN) * sizeof *polls);
    if (!grown_polls)
        return false;
    polls = grown_polls;
    room = more;
    return true;
}

static bool may_ask(const struct ucred *who)
{
    if (who->pid == home.program)
        return true;
    for (size_t i = 0; i < count; i++)
        if (!children[i].ended && children[i].pid == who->pid)
            return true;
    return false;
}

static bool watch_owner(int channel)
{
    struct epoll_event event = { .events = EPOLLONESHOT, .data.fd = channel }; /* and EPOLLHUP */
    return epoll_ctl(owners, EPOLL_CTL_ADD, channel, &event) == 0;
}

static void unwatch_owner(int channel)
{
    (void)epoll_ctl(owners, EPOLL_CTL_DEL, channel, NULL);
}

/* Forks a child. Returns 0; or the error, positive. */
static int start(const struct ucred *who, const int descriptors[ZYGOTE_DESCRIPTORS])
{
    int channel = descriptors[ZYGOTE_CHANNEL];
    if (!reserve_child() || !watch_owner(channel))
        return ENOMEM;
    uint32_t participant = participant_add();
    if (!participant) {
        unwatch_owner(channel);
        return EAGAIN;
    }
    pid_t pid = zygote_fork();
    if (pid == 0)
        become_child(descriptors, participant);
    if (pid < 0) {
        int error = errno;
        participant_bury(participant);
        unwatch_owner(channel);
        return error;
    }
    children[count++] = (struct child){
        .pid = pid, .owner = who->pid, .participant = participant, .channel = channel
    };
    return 0;
}

/* What came with a request. Descriptors for which there was no room are missing: -1. */
static void read_control(struct msghdr *message, struct ucred *who, int descriptors[])
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS)
            memcpy(who, CMSG_DATA(c), sizeof *who);
        else if (c->cmsg_type == SCM_RIGHTS)
            memcpy(descriptors, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    }
}

/*
 * Whether the asker is still who the program was, as a child is what that was, which may be more
 * than it is now; and for what concerns processes, the program or one that was forked here. (Those
 * of other zygotes of the program have this one's control socket for their tickets.)
 */
static int check(const struct zygote_request *request, const struct ucred *who)
{
    if (who->uid != getuid() || who->gid != getgid() || request->euid != geteuid() ||
        request->egid != getegid())
        return EPERM;
    return request->what == ZYGOTE_START && !may_ask(who) ? EPERM : 0;
}

/* Keeps the descriptor that came, and answers with its ticket. Returns 0; or the error. */
static int keep(const struct ucred *who, int descriptors[])
{
    uint64_t ticket;
    if (descriptors[ZYGOTE_FD] < 0)
        return EMFILE;
    int rc = tickets_keep(descriptors[ZYGOTE_FD], who->pid, &ticket);
    if (rc < 0)
        return -rc;
    descriptors[ZYGOTE_FD] = -1;
    channel_send_value(descriptors[ZYGOTE_ANSWER], CHANNEL_ANSWER, ticket, -1, MSG_DONTWAIT);
    return 0;
}

/* Gives back the descriptor of a ticket. Returns 0; or the error. */
static int take(uint64_t ticket, const int descriptors[])
{
    int fd = tickets_take(ticket);
    if (fd < 0)
        return -fd;
    int rc = channel_send_value(descriptors[ZYGOTE_ANSWER], CHANNEL_ANSWER, 0, fd, MSG_DONTWAIT);
    close(fd);
    return rc == -ETOOMANYREFS ? EMFILE : 0; /* else whoever has asked is gone */
}

/* Leaves the session of the program that is about to end. */
static void leave_session(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (null >= 0)
        descriptors_silence(null);
    if (tty >= 0)
        (void)ioctl(tty, TIOCNOTTY);
    descriptors_close(null);
    descriptors_close(tty);
    (void)!chdir("/");
}

/* The program goes on as another process. Returns 0; or the error. */
static int move(pid_t program, const struct ucred *who, int descriptors[])
{
    if (who->pid != home.program)
        return EPERM;
    if (descriptors[ZYGOTE_FD] < 0)
        return EMFILE;
    for (size_t i = 0; i < count; i++)
        if (children[i].owner == home.program)
            children[i].owner = program;
    tickets_end(home.program, true);
    close(home.program_fd);
    home.program = program;
    home.program_fd = descriptors[ZYGOTE_FD];
    descriptors[ZYGOTE_FD] = -1;
    leave_session();
    channel_send_value(descriptors[ZYGOTE_ANSWER], CHANNEL_ANSWER, 0, -1, MSG_DONTWAIT);
    return 0;
}

/* Does what is asked. What is not needed any more stays in descriptors. Returns 0; or the error. */
static int carry_out(const struct zygote_request *request, const struct ucred *who,
                     int descriptors[])
{
    int error = check(request, who);
    if (error)
        return error;
    switch (request->what) {
    case ZYGOTE_START:
        if (descriptors[ZYGOTE_DIRECTORY] < 0)
            return EMFILE;
        error = start(who, descriptors);
        if (!error)
            descriptors[ZYGOTE_CHANNEL] = -1; /* the child's entry has it */
        return error;
    case ZYGOTE_KEEP:
        return keep(who, descriptors);
    case ZYGOTE_TAKE:
        return take(request->value, descriptors);
    case ZYGOTE_ENDED:
        tickets_end((pid_t)(uint32_t)request->value, request->value >> 32);
        return 0;
    case ZYGOTE_MOVE:
        return move((pid_t)request->value, who, descriptors);
    default:
        return EINVAL;
    }
}

/* Takes one request. Returns 1; 0: there is none; -1: nobody is left who could send one. */
static int take_request(void)
{
    struct zygote_request request;
    struct iovec part = { &request, sizeof request };
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(ZYGOTE_DESCRIPTORS * sizeof(int))];
    } control;
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    ssize_t n = recvmsg(home.socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == ECONNRESET ? -1 : 0;
    if (n == 0)
        return -1;
    struct ucred who = { 0 };
    int descriptors[ZYGOTE_DESCRIPTORS] = { -1, -1, -1 };
    read_control(&message, &who, descriptors);
    bool ours = n == (ssize_t)sizeof request && request.version == ZYGOTE_VERSION;
    int error = ours ? carry_out(&request, &who, descriptors) : EINVAL;
    if (error && descriptors[ZYGOTE_CHANNEL] >= 0) /* which is where an answer goes, too */
        channel_send_value(descriptors[ZYGOTE_CHANNEL], CHANNEL_FAILED, (uint64_t)error, -1,
                           MSG_DONTWAIT);
    for (int i = 0; i < ZYGOTE_DESCRIPTORS; i++)
        descriptors_close(descriptors[i]);
    return 1;
}

/* Takes all requests. Returns false if nobody is left who could send one. */
static bool take_requests(void)
{
    int rc;
    while ((rc = take_request()) > 0)
        ;
    return rc == 0;
}

/* ---- ends */

static void kill_processes_of(pid_t owner)
{
    for (size_t i = 0; i < count; i++)
        if (children[i].owner == owner && !children[i].ended)
            kill(children[i].pid, SIGKILL);
}

__attribute__((noreturn)) static void end_all(void)
{
    for (size_t i = 0; i < count; i++)
        if (!children[i].ended)
            kill(children[i].pid, SIGKILL);
    _exit(EXIT_SUCCESS);
}

/* The first zygote keeps the tickets; the others tell it. (It never blocks, so nor do they.) */
static void end_tickets(pid_t pid, bool in_peace)
{
    struct zygote_request request = { ZYGOTE_VERSION, ZYGOTE_ENDED, geteuid(), getegid(), 0 };
    request.value = (uint64_t)in_peace << 32 | (uint32_t)pid;
    if (zygote_broker() < 0)
        tickets_end(pid, in_peace);
    else
        (void)send(zygote_broker(), &request, sizeof request, MSG_NOSIGNAL);
}

static void reap(void)
{
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof info) > 0)
        ;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < count; i++)
            if (children[i].pid == pid && !children[i].ended) {
                children[i].ended = true;
                children[i].status = status;
                participant_bury(children[i].participant);
            }
        kill_processes_of(pid);
        end_tickets(pid, status == 0);
    }
}

/* Kills those whose owners have closed their channels. */
static void kill_unowned(void)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(owners, events, EVENTS, 0);
    for (int i = 0; i < n; i++)
        for (size_t c = 0; c < count; c++)
            if (children[c].channel == events[i].data.fd && !children[c].ended)
                kill(children[c].pid, SIGKILL);
}

/* Tells the owners of the dead, and forgets those who were told or whose owner is gone. */
static void tell_ends(void)
{
    for (size_t i = 0; i < count;) {
        struct child *child = &children[i];
        if (!child->ended ||
            channel_send_value(child->channel, CHANNEL_END, (uint64_t)child->status, -1,
                               MSG_DONTWAIT) == -EAGAIN) {
            i++;
            continue;
        }
        unwatch_owner(child->channel); /* closing would not: who has copies of it may live */
        close(child->channel);
        *child = children[--count];
    }
}

/* ---- the zygote itself */

/* What the children will find: no handler of the program's, except for what tells of a crash, as
 * installed by sanitizers and by programs that print a stack. Here, all of it is blocked. */
static void set_dispositions(void)
{
    static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
    static const int ignored[] = { SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU };
    sigset_t keep;
    sigemptyset(&keep);
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        sigaddset(&keep, crashes[i]);
    for (int signo = 1; signo < NSIG; signo++) {
        struct sigaction now;
        if (sigismember(&keep, signo) == 1 || sigaction(signo, NULL, &now) < 0)
            continue;
        if (now.sa_handler != SIG_IGN)
            signal(signo, SIG_DFL);
    }
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);          /* ignored, it would have the kernel reap and forget */
    sigdelset(&home.signals, SIGTERM); /* a process must end when it is asked to */
}

static void set_up(void)
{
    own_id = getpid();
    count = 0; /* those are another zygote's, if this one was made by its child */
    tickets_forget();
    if (zygote_broker() >= 0)
        (void)image_note(); /* a snapshot has what was loaded since weft_init(), too */
    setpgid(0, 0);          /* the terminal's Ctrl-C is for the program */
    prctl(PR_GET_NAME, program_name);
    prctl(PR_SET_NAME, "weft-zygote");
    set_dispositions();
    int keep[] = { home.socket, home.program_fd, zygote_broker(), shared_place().fd,
                   trace_descriptor() };
    descriptors_keep(keep, sizeof keep / sizeof *keep);
    getrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){ files.rlim_max, files.rlim_max });
    sigset_t sigchld;
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    signal_fd = signalfd(-1, &sigchld, SFD_NONBLOCK | SFD_CLOEXEC);
    int rc = signal_fd < 0 ? -errno : 0;
    owners = epoll_create1(EPOLL_CLOEXEC);
    if (rc == 0)
        rc = owners < 0 ? -errno : !reserve_child() ? -ENOMEM : 0;
    pid_t greeting = rc < 0 ? rc : own_id;
    (void)!send(home.socket, &greeting, sizeof greeting, MSG_NOSIGNAL);
    if (greeting < 0)
        _exit(EXIT_FAILURE);
}

/* Fills polls. Returns how many. */
static nfds_t what_to_wait_for(void)
{
    polls[POLL_CONTROL] = (struct pollfd){ home.socket, POLLIN, 0 };
    polls[POLL_PROGRAM] = (struct pollfd){ home.program_fd, POLLIN, 0 };
    polls[POLL_SIGNAL] = (struct pollfd){ signal_fd, POLLIN, 0 };
    polls[POLL_OWNERS] = (struct pollfd){ owners, POLLIN, 0 };
    nfds_t n = POLL_CHILDREN;
    for (size_t i = 0; i < count; i++)
        if (children[i].ended)
            polls[n++] = (struct pollfd){ children[i].channel, POLLOUT, 0 };
    return n;
}

void zygote_run(const struct zygote_home *program)
{
    home = *program;
    set_up();
    for (;;) {
        if (poll(polls, what_to_wait_for(), -1) < 0 && errno != EINTR && errno != ENOMEM)
            end_all();
        if (polls[POLL_PROGRAM].revents || !take_requests())
            end_all();
        if (polls[POLL_SIGNAL].revents)
            reap();
        if (polls[POLL_OWNERS].revents)
            kill_unowned();
        tell_ends();
    }
}
