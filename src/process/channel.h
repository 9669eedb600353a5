/* SPDX-License-Identifier: MIT */
/*
 * process/channel.h: messages of any size between a process and its owner, over a socket pair of
 * type SOCK_SEQPACKET. channel.c says how they are cut.
 */
#ifndef WEFT_PROCESS_CHANNEL_H
#define WEFT_PROCESS_CHANNEL_H

#include <weft/call.h>

#include "process/surroundings.h"

enum channel_type {
    CHANNEL_STARTED = 1,  /* child: it exists. value: its pid; carries its pidfd */
    CHANNEL_FAILED,       /* zygote: it does not. value: the error, positive */
    CHANNEL_SURROUNDINGS, /* owner: surroundings_head, body: its strings; or left out */
    CHANNEL_SETUP,        /* owner: setup_head, body: the context */
    CHANNEL_READY,        /* child: ready_head */
    CHANNEL_BELL,         /* child: there is news in its lane */
    CHANNEL_ANSWER,       /* zygote, to another request than for a process. value, descriptor */
    CHANNEL_END,          /* zygote: the child was reaped. value: its wait status */
};

struct lane;

/* What a message starts with, fixed per type. Sizes are multiples of 16, which aligns the body
 * behind them. */
struct setup_head {
    uint64_t enter, leave; /* words of code.h */
    void *context;         /* the pointer, if has_body is not set */
    struct lane *lane;     /* shared: by which calls come */
    uint64_t has_body;
    uint64_t memory_bytes_max; /* 0: no limit */
    int64_t worker;            /* which of a pool's it is; -1: of none */
    char name[16];
};

/* What came of enter. */
struct ready_head {
    int32_t status;
    uint32_t unused[3];
    char text[160];
};

union channel_head {
    struct surroundings_head surroundings;
    struct setup_head setup;
    struct ready_head ready;
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
 * Shape    wait: as long as it takes (a task parks), not cancellable.
 * Returns  0; -EPIPE: all are gone that could send; -EAGAIN: not to wait, and there is none yet.
 */
int channel_receive(struct channel *channel, bool wait);

/*
 * The body of the message as memory of the caller's own, with a NUL behind.
 * Returns  NULL: there was no memory for it.
 */
char *channel_take_body(struct channel *channel);

#endif
