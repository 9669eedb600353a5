/* SPDX-License-Identifier: MIT */
/*
 * Introduces work that computes, and weft_shared_alloc: a picture of the Mandelbrot set, as PNG.
 *
 *     08_pool KIND FILE [WIDTH]         KIND: serial, threads or processes
 *
 * Each row of pixels is a call. It finds its place in call->ret and paints there; the picture lies
 * in memory that all processes of the program share, so that one word, the kind, is all that
 * differs between one thread, several, and several processes, and the picture does not at all.
 */
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

enum { STEPS = 1000 };

/* The part of the plane that is shown, and by how many pixels; the same for every call. */
struct view {
    double left, top, pixel; /* pixel: its side */
    uint32_t width, height;
};

/* After how many steps the point escapes; 0: not within STEPS. */
static int escape(double x, double y)
{
    double a = 0, b = 0;
    for (int step = 1; step <= STEPS; step++) {
        double next = a * a - b * b + x;
        b = 2 * a * b + y;
        a = next;
        if (a * a + b * b > 4)
            return step;
    }
    return 0;
}

/* Three bytes: black inside, outside a colour that turns with the number of steps. */
static void paint(unsigned char *rgb, int steps)
{
    rgb[0] = (unsigned char)(steps * 5);
    rgb[1] = (unsigned char)(steps * 9);
    rgb[2] = (unsigned char)(steps * 17);
}

static int paint_row(weft_call *call)
{
    const struct view *view = call->context;
    unsigned char *row = call->ret;
    double y = view->top - (double)call->index * view->pixel;
    for (uint32_t column = 0; column < view->width; column++)
        paint(row + 3 * column, escape(view->left + column * view->pixel, y));
    return 0;
}

static int paint_all(weft_kind kind, const struct view *view, unsigned char *pixels)
{
    weft_options options = { .context = view, .context_bytes = sizeof *view };
    weft_map rows = { .count = view->height, .out_bytes = 3 * (size_t)view->width };
    weft_pool *pool = NULL;
    rows.out = pixels;
    int rc = weft_pool_open(&pool, kind, &options);
    if (rc == 0)
        rc = weft_pool_map(pool, paint_row, &rows, WEFT_FOREVER);
    weft_pool_close(pool);
    return rc;
}

static int write_png(const char *path, const struct view *view, const unsigned char *pixels)
{
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = view->width,
                        .height = view->height,
                        .format = PNG_FORMAT_RGB };
    if (png_image_write_to_file(&image, path, 0, pixels, 0, NULL))
        return 0;
    fprintf(stderr, "%s: %s\n", path, image.message);
    return -EIO;
}

static int draw(weft_kind kind, const char *path, uint32_t width)
{
    struct view view = { .left = -2.2, .top = 1.2, .pixel = 3.2 / width, .width = width };
    view.height = width * 3 / 4;
    unsigned char *pixels = weft_shared_alloc((size_t)3 * view.width * view.height);
    int rc = pixels ? paint_all(kind, &view, pixels) : -ENOMEM;
    if (rc == 0)
        rc = write_png(path, &view, pixels);
    weft_shared_free(pixels);
    return rc;
}

int main(int argc, char **argv)
{
    weft_kind kind;
    long width = argc == 4 ? strtol(argv[3], NULL, 10) : 800;
    if (argc < 3 || argc > 4 || weft_kind_parse(argv[1], &kind) < 0 || width < 4 || width > 16384) {
        fprintf(stderr, "Usage: %s serial|threads|processes FILE [WIDTH]\n", argv[0]);
        return 2;
    }
    int rc = weft_init();
    if (rc == 0)
        rc = draw(kind, argv[2], (uint32_t)width);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
        return 1;
    }
    printf("%s: painted by kind %s\n", argv[2], weft_kind_name(kind));
    return 0;
}
