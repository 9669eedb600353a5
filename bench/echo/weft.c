/* SPDX-License-Identifier: MIT */
/* The echo server with weft: a task for each connection. */
#include "harness/in_task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int echo(weft_call *call)
{
    weft_stream *stream = call->pointer;
    char bytes[4096];
    ssize_t n;
    while ((n = weft_stream_read(stream, bytes, sizeof bytes, WEFT_FOREVER)) > 0) {
        if (weft_stream_write(stream, bytes, (size_t)n, WEFT_FOREVER) < 0)
            break;
    }
    weft_stream_close(stream);
    return 0;
}

static void say_port(weft_listener *listener)
{
    char address[WEFT_ADDRESS_BYTES];
    bench_must(weft_listener_address(listener, address, sizeof address) == 0,
               "weft_listener_address");
    printf("{\"port\": %s}\n", strrchr(address, ':') + 1);
    fflush(stdout);
}

static int serve(weft_call *call)
{
    (void)call;
    weft_listener *listener;
    weft_stream *stream;
    weft_group *group = bench_open_tasks();
    bench_must(weft_listener_open(&listener, "127.0.0.1:0", 4096) == 0, "weft_listener_open");
    say_port(listener);
    int rc;
    while ((rc = weft_listener_accept(listener, &stream, WEFT_FOREVER)) == 0)
        bench_start(group, echo, stream);
    return rc;
}

int main(void)
{
    bench_in_task(serve, NULL);
    return 0;
}
