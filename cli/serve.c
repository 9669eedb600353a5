/* SPDX-License-Identifier: MIT */
/* `weft serve`: an HTTP server to test clients against, and a plain one for a directory.
 *
 * This file reads the options, opens what they name, and runs serve/server.c. docs/serve.md is its
 * manual. It is ready once the line "Serving URL" is on stdout, the only line that it prints there,
 * so that a script which picked port 0 reads the address from it. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "serve/files.h"
#include "serve/listen.h"
#include "serve/site.h"

struct settings {
    const char *bind;
    uint64_t port;
    int64_t latency_ns;
    uint64_t page_bytes;
    const char *root;
    uint64_t connections_max;
    int64_t patience_ns;
    bool until_eof;
};

/* Standard streams, files being opened; and for each CPU what a worker of the tasks waits with. */
enum { SPARE_DESCRIPTORS = 64, WORKER_DESCRIPTORS = 4 };

static enum options_result parse(int argc, char **argv, struct settings *set)
{
    static char more[ROUTES_TEXT_MAX + 512];
    char routes[ROUTES_TEXT_MAX];
    const struct option_spec specs[] = {
        { 'p', "port", "PORT", "port to listen on; 0 picks a free one", OPTION_COUNT,
          .to.count = &set->port, .max = 65535 },
        { 'b', "bind", "ADDRESS", "address to listen on; 0.0.0.0 or :: lets other machines in",
          OPTION_STRING, .to.text = &set->bind },
        { 'l', "latency", "TIME", "how long a /page takes, such as 250us, 50ms or 1.5s",
          OPTION_DURATION, .to.ns = &set->latency_ns, .max = DELAY_MS_MAX * 1000000 },
        { 's', "size", "SIZE", "how long a /page is, such as 512, 1k or 16M", OPTION_SIZE,
          .to.bytes = &set->page_bytes, .max = PAGE_BYTES_MAX },
        { 'r', "root", "DIR", "serve the files in DIR as well", OPTION_STRING,
          .to.text = &set->root },
        { 'c', "connections-max", "N", "connections at once; more have to wait", OPTION_COUNT,
          .to.count = &set->connections_max, .min = 1, .max = 100000 },
        { 't', "timeout", "TIME", "how long a client may be idle, or within a request or answer",
          OPTION_DURATION, .to.ns = &set->patience_ns, .min = 1, .max = DELAY_MS_MAX * 1000000 },
        { 0, "until-eof", NULL,
          "end when standard input ends, so that a script leaves nothing running", OPTION_FLAG,
          .to.flag = &set->until_eof },
    };
    struct options options = {
        .command = "weft serve",
        .synopsis = "[OPTION]...",
        .about = "Serves a test site over HTTP, and a directory if told to, until SIGINT or "
                 "SIGTERM. Prints \"Serving URL\" on standard output when it is ready.",
        .more = more,
        .specs = specs,
        .count = sizeof specs / sizeof specs[0],
    };
    int first;

    site_describe(routes, sizeof routes);
    snprintf(more, sizeof more,
             "Routes (?ms=MS delays every answer):\n%s\n"
             "Exit codes: 0 ended as told, 1 failed, 2 wrong usage.\n",
             routes);
    enum options_result result = options_parse(&options, argc, argv, &first);
    if (result == OPTIONS_RUN && first < argc) {
        options_complain(&options, "unexpected argument '%s'", argv[first]);
        return OPTIONS_WRONG;
    }
    return result;
}

/* Connections are descriptors, and so is each large file on its way: two per connection. */
static int allow_descriptors(const struct settings *set)
{
    struct rlimit limit;
    rlim_t needed = set->connections_max * (set->root != NULL ? 2 : 1) + SPARE_DESCRIPTORS +
                    (rlim_t)sysconf(_SC_NPROCESSORS_ONLN) * WORKER_DESCRIPTORS;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
        return 0;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < needed) {
        fprintf(stderr,
                "weft serve: --connections-max %" PRIu64 " needs %ju open files, but the limit is "
                "%ju (ulimit -Hn)\n",
                set->connections_max, (uintmax_t)needed, (uintmax_t)limit.rlim_max);
        return -EMFILE;
    }
    limit.rlim_cur = needed;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static int open_root(const char *directory)
{
    int root = files_open(directory);

    if (root == -ENOSYS || root == -EPERM)
        fprintf(stderr, "weft serve: --root: this system does not allow openat2 (Linux 5.6), which "
                        "keeps requests inside the directory\n");
    else if (root < 0)
        fprintf(stderr, "weft serve: --root: '%s': %s\n", directory, strerror(-root));
    return root;
}

static int listen_and_run(const struct settings *set, struct site *site)
{
    struct listen listen;
    char ready[LISTEN_URL_MAX + 16];
    int rc = listen_open(set->bind, (uint16_t)set->port, &listen);

    if (rc < 0) {
        fprintf(stderr, "weft serve: cannot listen on '%s' port %" PRIu64 ": %s\n", set->bind,
                set->port, strerror(-rc));
        return rc;
    }
    if (!listen.loopback)
        fprintf(stderr, "weft serve: %s is not a loopback address: other machines can connect\n",
                set->bind);
    snprintf(ready, sizeof ready, "Serving %s", listen.url);
    return server_run(site, listen.listener, set->connections_max, set->until_eof, ready);
}

int serve_main(int argc, char **argv)
{
    struct settings set = {
        .bind = "127.0.0.1",
        .port = 8080,
        .latency_ns = 50000000,
        .page_bytes = 1024,
        .connections_max = 4096,
        .patience_ns = 600 * WEFT_S,
    };

    switch (parse(argc, argv, &set)) {
    case OPTIONS_RUN:
        break;
    case OPTIONS_HELPED:
        return EXIT_OK;
    case OPTIONS_WRONG:
        return EXIT_USAGE;
    }
    struct site site = {
        .latency_ns = set.latency_ns,
        .page_bytes = set.page_bytes,
        .patience_ns = set.patience_ns,
        .root = -1,
    };
    signal(SIGPIPE, SIG_IGN); /* a standard output that nobody reads is an error, not a signal */
    if (set.root != NULL && (site.root = open_root(set.root)) < 0)
        return EXIT_FAILED;
    int rc = allow_descriptors(&set);
    if (rc == 0)
        rc = listen_and_run(&set, &site);
    if (site.root >= 0)
        close(site.root);
    return rc == 0 ? EXIT_OK : EXIT_FAILED;
}
