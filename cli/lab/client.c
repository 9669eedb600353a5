/* SPDX-License-Identifier: MIT */
/* The least of HTTP/1.1 that the embedded site needs: a request line, an answer whose length is
 * told. Waiting is weft's, so it is the same call in a thread, a task and a process, and under a
 * GIL that is given up by whoever waits. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINE_BYTES = 512, BODY_BYTES = 64 };

static int ask(struct page_client *client, const char *site, uint32_t ms, weft_deadline deadline)
{
    char request[LINE_BYTES];
    int length =
        snprintf(request, sizeof request, "GET /page/1?ms=%u&bytes=%d HTTP/1.1\r\nHost: %s\r\n\r\n",
                 ms, BODY_BYTES, site);
    ssize_t n = weft_stream_write(client->stream, request, (size_t)length, deadline);

    return n < 0 ? (int)n : 0;
}

/* Reads a line without its end. Returns its length or -errno. */
static int read_line(struct page_client *client, char line[LINE_BYTES], weft_deadline deadline)
{
    ssize_t n = weft_stream_read_until(client->stream, line, LINE_BYTES - 1, '\n', deadline);

    if (n <= 0)
        return n < 0 ? (int)n : -ECONNRESET;
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    line[n] = '\0';
    return (int)n;
}

/* Reads the status and the headers. Returns the body's length or -errno. */
static int read_head(struct page_client *client, weft_deadline deadline)
{
    static const char length_name[] = "Content-Length:";
    char line[LINE_BYTES];
    long length = -1;
    int n = read_line(client, line, deadline);

    if (n >= 0 && strncmp(line, "HTTP/1.1 200", 12) != 0)
        return -EPROTO;
    while (n >= 0 && (n = read_line(client, line, deadline)) > 0)
        if (strncasecmp(line, length_name, sizeof length_name - 1) == 0)
            length = strtol(line + sizeof length_name - 1, NULL, 10);
    if (n < 0)
        return n;
    return length == BODY_BYTES ? (int)length : -EPROTO;
}

static int read_answer(struct page_client *client, weft_deadline deadline)
{
    char body[BODY_BYTES];
    int length = read_head(client, deadline);

    if (length < 0)
        return length;
    ssize_t n = weft_stream_read_exactly(client->stream, body, (size_t)length, deadline);
    return n == length ? 0 : n < 0 ? (int)n : -ECONNRESET;
}

int page_get(struct page_client *client, const char *site, uint32_t ms, weft_deadline deadline)
{
    int rc = 0;

    if (client->stream == NULL)
        rc = weft_stream_dial(&client->stream, site, deadline);
    if (rc == 0)
        rc = ask(client, site, ms, deadline);
    if (rc == 0)
        rc = read_answer(client, deadline);
    if (rc < 0)
        page_client_close(client); /* nobody knows what it would say next */
    return rc;
}

void page_client_close(struct page_client *client)
{
    weft_stream_close(client->stream);
    client->stream = NULL;
}
