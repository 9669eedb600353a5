/* SPDX-License-Identifier: MIT */
/* One attempt at one URL: what the workers run. Everything that goes in and out is flat, so that it
 * is the same for a worker that is this thread, another, or a process. */
#ifndef FETCH_TRANSFER_H
#define FETCH_TRANSFER_H

#include <weft.h>

#include <limits.h>

/* What all attempts of a run have in common; the pool's context. */
struct plan {
    int64_t timeout_ns;         /* for an attempt; 0: none */
    int64_t connect_timeout_ns; /* of that, until the connection stands; 0: libcurl's (5 min) */
    uint64_t body_bytes_max;    /* 0: no limit */
    uint64_t redirects_max;
    bool timed;               /* the phases of each attempt are wanted */
    uint64_t run;             /* random: tells the temporary files of two runs apart */
    char directory[PATH_MAX]; /* absolute; "": bodies are not saved */
    int directory_fd;         /* the same, open, in this process; -1: bodies are not saved */
    char ca_file[PATH_MAX];   /* absolute; "": the system's certificates */
};

/* One attempt; the call's argument. */
struct task {
    uint64_t number; /* the URL's place in the input, from 0 */
    uint32_t alone;  /* 1: with kind processes, nothing else is in the process meanwhile */
    char url[];
};

/* Why an attempt failed, in one word. */
enum failure {
    FAILURE_NONE,
    FAILURE_URL,      /* not a URL, or not one of HTTP */
    FAILURE_DNS,      /* no such host, or nobody to ask */
    FAILURE_CONNECT,  /* no connection */
    FAILURE_TLS,      /* no agreement on encryption, or a certificate that is not trusted */
    FAILURE_TIMEOUT,  /* of the connection or of the whole attempt */
    FAILURE_DROPPED,  /* the connection ended before the answer did */
    FAILURE_HTTP,     /* a status of 400 or more */
    FAILURE_REDIRECT, /* too many of them, or one that leads away from HTTP */
    FAILURE_SIZE,     /* a body larger than allowed */
    FAILURE_SAVE,     /* the body could not be written */
    FAILURE_WORKER,   /* the process that ran it died */
    FAILURE_STOPPED,  /* the user did not want to wait for it */
    FAILURE_OTHER,
};

/* Of a reason, its NUL included. */
#define REASON_MAX 400

const char *failure_name(enum failure failure);

/* Microseconds since the attempt began; 0: that phase was not reached, or not needed, or nobody
 * wants to know (struct plan). */
struct phases {
    int64_t dns_us, connect_us, tls_us, first_byte_us, total_us;
};

/* What became of an attempt; the call's result. The strings follow it. */
struct result {
    uint32_t failure;      /* enum failure */
    int32_t status;        /* of HTTP; 0: there was no answer */
    uint64_t body_bytes;   /* received */
    int64_t retry_after_s; /* what the server asked for; 0: nothing */
    struct phases phases;
    uint32_t process;      /* 1 + the number of the worker process; 0: it was this process */
    uint32_t reused;       /* 1: no new connection was needed */
    uint32_t reason_bytes; /* of each string, its NUL included */
    uint32_t final_url_bytes;
    uint32_t file_bytes;
    char strings[];
};

/* "" for success; where a redirection led, or ""; the name of the saved file, or "". */
const char *result_reason(const struct result *result);
const char *result_final_url(const struct result *result);
const char *result_file(const struct result *result);

/* The pool's options: a worker keeps an easy handle; the function takes a struct task and returns a
 * struct result, and 0 whatever became of the transfer. */
int transfer_enter(weft_call *call, void **ret_worker);
void transfer_leave(void *worker);
int transfer(weft_call *call);

#endif
