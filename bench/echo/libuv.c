/* SPDX-License-Identifier: MIT */
/* The echo server with libuv: it writes at once, without a request, which is the faster way. */
#include "harness/listen.h"

#include <stdlib.h>
#include <uv.h>

static char buffer[64 * 1024]; /* one for all: what was read is written before the next read */

static void give_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *ret_buffer)
{
    (void)handle, (void)wanted;
    *ret_buffer = uv_buf_init(buffer, sizeof buffer);
}

static void free_connection(uv_handle_t *handle)
{
    free(handle);
}

static void echo(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    if (n < 0) {
        uv_close((uv_handle_t *)stream, free_connection);
        return;
    }
    uv_buf_t answer = uv_buf_init(bytes->base, (unsigned)n);
    bench_must(n == 0 || uv_try_write(stream, &answer, 1) == (int)n, "uv_try_write");
}

static void take(uv_stream_t *listener, int status)
{
    uv_tcp_t *connection = malloc(sizeof *connection);
    bench_must(status == 0 && connection != NULL, "a connection");
    uv_tcp_init(listener->loop, connection);
    bench_must(uv_accept(listener, (uv_stream_t *)connection) == 0, "uv_accept");
    uv_read_start((uv_stream_t *)connection, give_buffer, echo);
}

int main(void)
{
    uv_tcp_t listener;
    int fd = bench_listen(SOCK_NONBLOCK);
    uv_tcp_init(uv_default_loop(), &listener);
    bench_must(uv_tcp_open(&listener, fd) == 0, "uv_tcp_open");
    bench_must(uv_listen((uv_stream_t *)&listener, BENCH_BACKLOG, take) == 0, "uv_listen");
    bench_say_port(bench_port_of(fd));
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
