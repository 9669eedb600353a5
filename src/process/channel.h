/* SPDX-License-Identifier: MIT */
/*
 * process/channel.h: messages of any size between a process and its owner, over a socket pair of
 * type SOCK_SEQPACKET. channel.c says how they are cut.
 */
#ifndef WEFT_PROCESS_CHANNEL_H
#define WEFT_PROCESS_CHANNEL_H

#include <weft/call.h>
#include <weft/time.h>

#include "process/surroundings.h"

enum channel_type {
    CHANNEL_STARTED = 1,  /* child: it exists. value: its pid; carries its pidfd */
    CHANNEL_FAILED,       /* zygote: it does not. value: the error, positive */
    CHANNEL_SURROUNDINGS, /* owner: surroundings_head, body: its strings; or left out */
    CHANNEL_SETUP,        /* owner: setup_head, body: the context */
    CHANNEL_READY,        /* child: result_head of enter */
    CHANNEL_CALL,         /* owner: call_head, body: the argument */
    CHANNEL_RESULT,       /* child: result_head, body: the result */
    CHANNEL_BELL,         /* child: there is news in its lane */
    CHANNEL_ANSWER,       /* zygote, to another request than for a process. value, descriptor */
    CHANNEL_END,          /* zygote: the child was reaped. value: its wait status */
};

struct lane;

/* What a message starts with, fixed per type. Sizes are multiples of 16, which aligns the body
 * behind them. */
struct setup_head {
    uint64_t enter, leave; /* words of code.h, as is call_head's fn */
    void *context;         /* the pointer, if has_body is not set */
    uint32_t *begun;       /* shared: set when a call begins; may be NULL */
    struct lane *lane;     /* shared: by which calls come; NULL: by the channel */
    uint64_t has_body;
    uint64_t memory_bytes_max; /* 0: no limit */
    uint64_t unused;
    char name[16];
};

struct call_head {
    uint64_t fn;
    void *pointer;
    uint64_t index;
    uint64_t ret_bytes;
    uint32_t attempt;
    uint32_t has_body; /* there is an argument, maybe of no bytes */
    uint64_t unused;
};

struct result_head {
    int32_t status;
    uint32_t has_body;
    uint64_t unused;
    char text[160];
};

union channel_head {
    struct surroundings_head surroundings;
    struct setup_head setup;
    struct call_head call;
    struct result_head result;
};

/* What starts each datagram. value is for messages that need no head. */
struct packet {
    uint32_t type;
    uint32_t head_bytes; /* in the first datagram of a message; 0 in the others */
    uint64_t body_bytes; /* of the whole message */
    uint64_t offset;     /* in the body, of this datagram's part */
    uint64_t value;
};

#define CHANNEL_INLINE_BYTES ((size_t)16 << 10)

/* The receiving side, and the descriptor, which both sides use. */
struct channel {
    int fd;
    int passed_fd;       /* a descriptor that came with the message, the taker's to close; or -1 */
    struct packet first; /* the first packet of the message at hand; type 0: none */
    union channel_head head;
    char *body;      /* malloc'ed, or inside inbox; NUL behind. NULL: no memory, or taken */
    size_t received; /* bytes of the body so far */
    bool may_spin;   /* there is more than one CPU */
    uint32_t pause;  /* how many waits go without spinning since spinning was in vain */
    uint32_t waits;  /* how many of them are left */
    char inbox[sizeof(union channel_head) + CHANNEL_INLINE_BYTES + 1] __attribute__((aligned(16)));
};

/* Takes fd over. */
void channel_init(struct channel *channel, int fd);
void channel_deinit(struct channel *channel);

/*
 * Sends a message. Blocks (a task parks), not cancellable; never raises SIGPIPE.
 * Returns  0; -EPIPE: nobody reads any more; -ENOMEM: the kernel has none, -EFAULT: bad memory (a
 *          part may be sent: the channel is of no more use).
 */
int channel_send(int fd, enum channel_type type, const void *head, size_t head_bytes,
                 const void *body, size_t body_bytes);

/* Sends a value, with a descriptor (borrowed; -1: none) and MSG_DONTWAIT or 0. Returns as above;
 * -EAGAIN. */
int channel_send_value(int fd, enum channel_type type, uint64_t value, int pass_fd, int flags);

/*
 * Receives the next message whole: channel->first, head and body say what it is, until the next
 * call. What was sent by a process that died before all of it was sent is dropped.
 * Shape    deadline: NULL waits for ever and is not cancellable; a thread does so in the kernel's
 *          recvmsg.
 * Returns  0; -EPIPE: all are gone that could send; -ETIMEDOUT, -ECANCELED and what else
 *          weft_fd_wait() returns: ask again.
 */
int channel_receive(struct channel *channel, const weft_deadline *deadline);

/*
 * The body of the message as memory of the caller's own, with a NUL behind.
 * Returns  NULL: there was no memory for it.
 */
char *channel_take_body(struct channel *channel);

#endif
