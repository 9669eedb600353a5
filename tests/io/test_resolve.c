/* SPDX-License-Identifier: MIT */
/* Names: what the resolver says, and leaving a lookup that takes too long. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "streams.h"

/* ---- this program's resolver */

static atomic_int error;   /* what it says; 0: the addresses */
static atomic_int lookups; /* begun */
static atomic_int ended;
static atomic_bool stuck;
static const char *addresses[20];

static struct addrinfo *one(const char *host, const char *port)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in v4;
    } *entry = calloc(1, sizeof *entry);
    entry->v4.sin_family = AF_INET;
    entry->v4.sin_port = htons((uint16_t)atoi(port));
    inet_pton(AF_INET, host, &entry->v4.sin_addr);
    entry->info.ai_family = AF_INET;
    entry->info.ai_addrlen = sizeof entry->v4;
    entry->info.ai_addr = (struct sockaddr *)&entry->v4;
    return &entry->info;
}

/* The linker leads the library's calls of the system's resolver to these. */
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret);
void __wrap_freeaddrinfo(struct addrinfo *list);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret)
{
    (void)host;
    (void)hints;
    atomic_fetch_add(&lookups, 1);
    UNTIL(!atomic_load(&stuck));
    struct addrinfo **end = ret;
    *end = NULL;
    for (size_t i = 0; !atomic_load(&error) && addresses[i]; i++, end = &(*end)->ai_next)
        *end = one(addresses[i], port);
    atomic_fetch_add(&ended, 1);
    return atomic_load(&error);
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

/* ---- looking up */

static char texts[20][WEFT_ADDRESS_BYTES];

static int look_up(weft_deadline deadline)
{
    return weft_resolve("some.host", "80", texts, 20, deadline);
}

static void find_them(size_t index)
{
    (void)index;
    addresses[0] = "10.0.0.1";
    addresses[1] = "10.0.0.2";
    EXPECT_EQ(look_up(WEFT_FOREVER), 2);
    EXPECT_STR(texts[0], "10.0.0.1:80");
    EXPECT_STR(texts[1], "10.0.0.2:80");
    EXPECT_EQ(weft_resolve("some.host", "80", texts, 1, WEFT_FOREVER), 1);
    for (size_t i = 0; i < 19; i++)
        addresses[i] = "10.0.0.1";
    EXPECT_EQ(look_up(WEFT_FOREVER), 16);
}

TEST(names_have_addresses)
{
    in_strand(find_them);
}

TEST(a_forked_child_looks_up_although_the_threads_have_stayed_behind)
{
    int status;
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode may fail in the child of a program with threads");
    addresses[0] = "10.0.0.1";
    EXPECT_EQ(look_up(WEFT_FOREVER), 1);
    for (int i = 0; i < 10; i++) { /* the thread that did it is about to be idle */
        pid_t child = fork();
        if (child == 0)
            _exit(look_up(weft_after(30 * WEFT_S)) == 1 ? 0 : 1);
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
}

static void meet_errors(size_t index)
{
    const int errors[][2] = { { EAI_NONAME, -ENOENT },  { EAI_AGAIN, -EAGAIN },  { EAI_FAIL, -EIO },
                              { EAI_SERVICE, -EINVAL }, { EAI_MEMORY, -ENOMEM }, { 0, -ENOENT } };
    (void)index;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        atomic_store(&error, errors[i][0]);
        EXPECT_EQ(look_up(WEFT_FOREVER), errors[i][1]);
    }
}

TEST(each_error_is_told)
{
    in_strand(meet_errors);
}

TEST(numbers_and_nonsense_are_not_looked_up)
{
    char long_host[300];
    memset(long_host, 'a', sizeof long_host);
    long_host[sizeof long_host - 1] = 0;
    EXPECT_EQ(weft_resolve("127.0.0.1", "80", texts, 1, WEFT_NOW), 1);
    EXPECT_STR(texts[0], "127.0.0.1:80");
    EXPECT_EQ(weft_resolve("::1", "0", texts, 1, WEFT_NOW), 1);
    EXPECT_STR(texts[0], "[::1]:0");
    EXPECT_EQ(weft_resolve("", "80", texts, 1, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_resolve("host", "", texts, 1, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_resolve(NULL, "80", texts, 1, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_resolve("host", NULL, texts, 1, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_resolve("host", "80", texts, 0, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_resolve("host", "65536", texts, 1, WEFT_FOREVER), -ERANGE);
    EXPECT_EQ(weft_resolve(long_host, "80", texts, 1, WEFT_FOREVER), -ENAMETOOLONG);
    EXPECT_EQ(weft_resolve("host", "80", texts, 1, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(atomic_load(&lookups), 0);
}

/* ---- lookups that are left */

/* Lets all n of them end, those too that have not got their thread yet. */
static void unstick(int n)
{
    atomic_store(&stuck, false);
    UNTIL(atomic_load(&ended) == n);
    EXPECT_EQ(atomic_load(&lookups), n);
}

static void be_late(size_t index)
{
    weft_scope scope;
    (void)index;
    atomic_store(&stuck, true);
    EXPECT_EQ(look_up(weft_after(WEFT_MS)), -ETIMEDOUT);
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(look_up(WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

TEST(a_slow_lookup_is_left_at_the_deadline)
{
    in_strand(be_late);
    unstick(2);
}

static void be_cancelled(size_t index)
{
    (void)index;
    EXPECT_EQ(look_up(WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(look_up(WEFT_FOREVER), -ECANCELED);
}

TEST(a_slow_lookup_is_left_when_cancelled)
{
    strands_must_be_cancellable();
    atomic_store(&stuck, true);
    struct strands *strand = strands_start(1, be_cancelled);
    UNTIL(atomic_load(&lookups) == 1);
    strands_cancel_all(strand);
    strands_join(strand);
    unstick(1); /* the second was not begun */
}

/* ---- dialling names */

static void dial_name(size_t index)
{
    weft_stream *stream;
    char name[WEFT_ADDRESS_BYTES], peer[WEFT_ADDRESS_BYTES];
    (void)index;
    snprintf(name, sizeof name, "some.host%s", strrchr(address, ':'));
    EXPECT_EQ(weft_stream_dial(&stream, name, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_stream_peer(stream, peer, sizeof peer), 0);
    EXPECT_STR(peer, address);
    weft_stream_close(stream);
}

TEST(the_first_address_that_connects_wins)
{
    listen_at("127.0.0.1:0", 0);
    addresses[0] = "127.0.0.2";
    addresses[1] = "127.0.0.3";
    addresses[2] = "127.0.0.1";
    in_strand(dial_name);
    weft_listener_close(listener);
}

static void dial_nobody(size_t index)
{
    weft_stream *stream;
    (void)index;
    EXPECT_EQ(weft_stream_dial(&stream, "some.host:1", WEFT_FOREVER), -ECONNREFUSED);
    EXPECT_EQ(weft_stream_dial(&stream, "some.host:1", WEFT_NOW), -ETIMEDOUT);
    atomic_store(&error, EAI_NONAME);
    EXPECT_EQ(weft_stream_dial(&stream, "some.host:1", WEFT_FOREVER), -ENOENT);
    atomic_store(&stuck, true);
    EXPECT_EQ(weft_stream_dial(&stream, "some.host:1", weft_after(WEFT_MS)), -ETIMEDOUT);
}

TEST(a_dial_says_what_became_of_the_last)
{
    addresses[0] = "127.0.0.2";
    addresses[1] = "127.0.0.3";
    in_strand(dial_nobody);
    unstick(3);
}

/* A silent address: its backlog is full, so the system drops what comes. */
TEST(a_silent_address_gets_no_more_than_its_share)
{
    weft_listener *silent;
    weft_stream *waiting[3];
    char at_silent[WEFT_ADDRESS_BYTES];
    size_t n = 0;
    listen_at("127.0.0.1:0", 0);
    snprintf(at_silent, sizeof at_silent, "127.0.0.2%s", strrchr(address, ':'));
    EXPECT_EQ(weft_listener_open(&silent, at_silent, 1), 0);
    while (weft_stream_dial(&waiting[n], at_silent, weft_after(20 * WEFT_MS)) == 0)
        EXPECT_LT(++n, 3u);
    addresses[0] = "127.0.0.2";
    addresses[1] = "127.0.0.1";
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(2 * WEFT_S), 0);
    dial_name(0);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
    while (n)
        weft_stream_close(waiting[--n]);
    weft_listener_close(silent);
    weft_listener_close(listener);
}
