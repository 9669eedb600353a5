/* SPDX-License-Identifier: MIT */
/*
 * io/resolve.c: names to addresses, by the system's resolver.
 *
 * getaddrinfo() cannot be stopped, but a wait for it can. So a lookup lies on the heap and has two
 * owners, the strand that asked and the thread of the pool that calls getaddrinfo(); the one that
 * is done with it last frees it. The strand waits for the word `ended` like for any other.
 *
 * The pool has an idle thread, or makes one, for each lookup under way, up to its limit (512);
 * lookups beyond that wait in turn.
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include <weft/self.h>

#include "io/address.h"
#include "io/blocking.h"
#include "park/park.h"

enum { HOST_MAX = 255, PORT_MAX = 32 };

struct lookup {
    struct blocking_job job;
    uint32_t ended;  /* 0, then 1: what follows is constant from then on */
    uint32_t owners; /* 2, 1; the one that makes it 0 frees */
    int rc;          /* how many were found, or an error */
    struct address found[ADDRESSES_MAX];
    char host[HOST_MAX + 1];
    char port[PORT_MAX + 1];
};

static void let_go(struct lookup *lookup)
{
    /* acq_rel: releases this owner's uses to the acquire of the one that frees */
    if (sub_acq_rel(&lookup->owners, 1) == 1)
        free(lookup);
}

static int error_of(int code)
{
    switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENOENT;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_SERVICE:
        return -EINVAL;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_FAMILY:
        return -EAFNOSUPPORT;
    case EAI_SYSTEM:
        return errno ? -errno : -EIO;
    default: /* EAI_FAIL */
        return -EIO;
    }
}

/* Takes what was found, as long as there is room. */
static int take(struct lookup *lookup, const struct addrinfo *list)
{
    int n = 0;
    for (const struct addrinfo *it = list; it && n < ADDRESSES_MAX; it = it->ai_next) {
        if (it->ai_family != AF_INET && it->ai_family != AF_INET6)
            continue;
        struct address *address = &lookup->found[n++];
        memcpy(&address->any, it->ai_addr, it->ai_addrlen);
        address->size = it->ai_addrlen;
    }
    return n ? n : -ENOENT;
}

/* By the pool: there is a result. */
static void tell(struct lookup *lookup, int rc)
{
    lookup->rc = rc;
    /* seq_cst, as park asks for a word that it looks at; releases what was found to wait() */
    store_seq_cst(&lookup->ended, 1);
    park_wake(&lookup->ended, 1, 0);
    let_go(lookup);
}

static void dropped(void *arg, int error)
{
    (void)error;
    tell(arg, -ENOMEM); /* -EAGAIN is the name servers' */
}

/* In a thread of the pool. */
static int look_up(void *arg)
{
    struct lookup *lookup = arg;
    struct addrinfo *list = NULL;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    int rc = getaddrinfo(lookup->host, lookup->port, &hints, &list);
    rc = rc ? error_of(rc) : take(lookup, list);
    if (list)
        freeaddrinfo(list);
    tell(lookup, rc);
    return 0;
}

/* The strand's part. Returns as resolve(). */
static int wait(struct lookup *lookup, struct address *ret, weft_deadline deadline)
{
    struct park_node node = { .word = &lookup->ended, .value = 0 };
    int rc = park_wait(&node, 1, deadline, PARK_FOR_RESOLVE);
    /* acquire: pairs with the store in tell() */
    if (!load_acquire(&lookup->ended))
        return rc;
    for (int i = 0; i < lookup->rc; i++)
        ret[i] = lookup->found[i];
    return lookup->rc;
}

static int look_up_in_pool(const char *host, const char *port, struct address *ret,
                           weft_deadline deadline)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return -ENOMEM;
    strcpy(lookup->host, host);
    strcpy(lookup->port, port);
    lookup->owners = 2;
    lookup->job = (struct blocking_job){ .fn = look_up, .arg = lookup, .dropped = dropped };
    int rc = blocking_start(&lookup->job);
    if (rc < 0) {
        free(lookup);
        return -ENOMEM; /* -EAGAIN is the name servers' */
    }
    rc = wait(lookup, ret, deadline);
    let_go(lookup);
    return rc;
}

int resolve(const char *host, const char *port, struct address ret[ADDRESSES_MAX],
            weft_deadline deadline)
{
    int rc = address_numeric(host, port, &ret[0]);
    if (rc != -ENOENT && rc != -ESRCH)
        return rc < 0 ? rc : 1;
    if (!*host || !*port || strlen(port) > PORT_MAX)
        return -EINVAL;
    if (strlen(host) > HOST_MAX)
        return -ENAMETOOLONG;
    if (deadline.ns <= 0)
        return -ETIMEDOUT;
    if (weft_cancelled())
        return -ECANCELED; /* rather than to begin what nobody waits for */
    return look_up_in_pool(host, port, ret, deadline);
}

int weft_resolve(const char *host, const char *port, char (*ret)[WEFT_ADDRESS_BYTES], size_t max,
                 weft_deadline deadline)
{
    struct address found[ADDRESSES_MAX];
    if (!host || !port || !ret || !max)
        return -EINVAL;
    int n = resolve(host, port, found, deadline);
    if (n > 0 && (size_t)n > max)
        n = (int)max;
    for (int i = 0; i < n; i++) {
        int rc = address_format(&found[i], ret[i], WEFT_ADDRESS_BYTES);
        if (rc < 0)
            return rc;
    }
    return n;
}
