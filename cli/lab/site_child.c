/* SPDX-License-Identifier: MIT */
/* The site reads a pipe whose other end is here, and ends with it, however this program ends. It is
 * in a process group of its own: Ctrl-C is for the lab, which then still needs its pages. */
#include "site_child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = WEFT_ADDRESS_BYTES + 32 };

/* Reads "Serving http://HOST:PORT/". */
static int read_address(struct site_child *site)
{
    char line[LINE_BYTES + 1];
    ssize_t n = weft_stream_read_until(weft_child_stream(site->child, 1), line, LINE_BYTES, '\n',
                                       weft_after(30 * WEFT_S));

    if (n <= 0)
        return n < 0 ? (int)n : -EPIPE;
    line[n] = '\0';
    return sscanf(line, "Serving http://%127[^/\n]", site->address) == 1 ? 0 : -EPROTO;
}

int site_child_start(struct site_child *site)
{
    static const char *const argv[] = { "/proc/self/exe", "serve", "--port", "0",
                                        "--until-eof",    NULL };
    const weft_child_options options = {
        .in = WEFT_CHILD_PIPE,
        .out = WEFT_CHILD_PIPE,
        .own_group = true,
    };

    memset(site, 0, sizeof *site);
    int rc = weft_child_open(&site->child, argv, &options);
    if (rc == 0)
        rc = read_address(site);
    if (rc < 0)
        site_child_end(site);
    return rc;
}

void site_child_end(struct site_child *site)
{
    weft_child_close(site->child);
    site->child = NULL;
}
