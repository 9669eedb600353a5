/* SPDX-License-Identifier: MIT */
/*
 * Introduces outcomes, and what only processes survive: a strip of thumbnails of JPEG and PNG
 * files, one below the other, as PNG.
 *
 *     09_thumbnails STRIP FILE...
 *
 * Each file is a call of a pool of processes, which decodes it and shrinks it into its place on the
 * strip. The decoders are used in the simplest way that their manuals show, in which a file that is
 * no good ends the program: libjpeg calls exit(), libpng abort(). Here that is the end of one call
 * and of the process that ran it. The pool replaces the process, the other files do not notice, and
 * the outcome says what happened.
 *
 * Exit codes: 0: all files are on the strip; 1: some are not, their places are black; 2: there is
 * no strip.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h> /* wants stdio.h before it */
#include <png.h>
#include <weft.h>

enum { SIDE = 96, THUMBNAIL_BYTES = 3 * SIDE * SIDE, PIXELS_MAX = 100 * 1000 * 1000 };

/* Three bytes for each pixel. */
struct picture {
    uint32_t width, height;
    unsigned char *rgb;
};

static unsigned char *row_of(const struct picture *picture, size_t row)
{
    return picture->rgb + 3 * row * picture->width;
}

static int make_room(struct picture *picture, uint32_t width, uint32_t height)
{
    size_t pixels = (size_t)width * height;
    if (pixels > PIXELS_MAX)
        return -EFBIG;
    *picture = (struct picture){ width, height, calloc(pixels, 3) };
    return picture->rgb ? 0 : -ENOMEM;
}

static int decode_jpeg(FILE *file, struct picture *ret)
{
    struct jpeg_error_mgr errors;
    struct jpeg_decompress_struct jpeg = { .err = jpeg_std_error(&errors) };
    jpeg_create_decompress(&jpeg);
    jpeg_stdio_src(&jpeg, file);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    int rc = make_room(ret, jpeg.image_width, jpeg.image_height);
    if (rc == 0) {
        jpeg_start_decompress(&jpeg);
        while (jpeg.output_scanline < jpeg.output_height) {
            JSAMPROW row = row_of(ret, jpeg.output_scanline);
            jpeg_read_scanlines(&jpeg, &row, 1);
        }
        jpeg_finish_decompress(&jpeg);
    }
    jpeg_destroy_decompress(&jpeg);
    return rc;
}

static int decode_png(FILE *file, struct picture *ret)
{
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    int rc = -ENOMEM, passes = 0;
    if (info) {
        png_init_io(png, file);
        png_read_info(png, info);
        png_set_expand(png);
        png_set_scale_16(png);
        png_set_strip_alpha(png);
        png_set_gray_to_rgb(png);
        passes = png_set_interlace_handling(png);
        png_read_update_info(png, info);
        rc = make_room(ret, png_get_image_width(png, info), png_get_image_height(png, info));
    }
    for (int pass = 0; rc == 0 && pass < passes; pass++)
        for (uint32_t row = 0; row < ret->height; row++)
            png_read_row(png, row_of(ret, row), NULL);
    png_destroy_read_struct(&png, &info, NULL);
    return rc;
}

/* By how the file begins, whatever it is called. */
static int decode(FILE *file, struct picture *ret)
{
    unsigned char start[8];
    size_t n = fread(start, 1, sizeof start, file);
    rewind(file);
    if (n == sizeof start && png_sig_cmp(start, 0, sizeof start) == 0)
        return decode_png(file, ret);
    if (n == sizeof start && start[0] == 0xff && start[1] == 0xd8)
        return decode_jpeg(file, ret);
    return -EMEDIUMTYPE;
}

/* Some of the source's columns, or of its rows: from first, up to end. */
struct span {
    uint32_t first, end;
};

/* The i-th of SIDE equal parts of `scale` columns or rows, of which there are `count`. */
static struct span span_of(uint32_t i, uint32_t scale, uint32_t count)
{
    uint32_t first = (uint32_t)((uint64_t)i * scale / SIDE);
    uint32_t end = (uint32_t)((uint64_t)(i + 1) * scale / SIDE);
    return (struct span){ first, end < count ? end : count };
}

static void average(const struct picture *source, struct span x, struct span y, unsigned char *rgb)
{
    uint64_t sum[3] = { 0 }, count = (uint64_t)(x.end - x.first) * (y.end - y.first);
    for (uint32_t row = y.first; row < y.end; row++)
        for (uint32_t column = x.first; column < x.end; column++)
            for (int c = 0; c < 3; c++)
                sum[c] += row_of(source, row)[3 * column + c];
    for (int c = 0; c < 3; c++)
        rgb[c] = (unsigned char)(sum[c] / count);
}

/* Keeps the proportions; a picture that is small already keeps its size. The rest is black. */
static void shrink(const struct picture *source, unsigned char *thumbnail)
{
    uint32_t longer = source->width > source->height ? source->width : source->height;
    uint32_t scale = longer > SIDE ? longer : SIDE; /* so many of the source's become SIDE */
    for (uint32_t j = 0; j < SIDE; j++) {
        struct span y = span_of(j, scale, source->height);
        for (uint32_t i = 0; i < SIDE; i++) {
            struct span x = span_of(i, scale, source->width);
            if (x.first < x.end && y.first < y.end)
                average(source, x, y, thumbnail + 3 * ((size_t)j * SIDE + i));
        }
    }
}

static int make_thumbnail(weft_call *call)
{
    struct picture picture = { 0 };
    FILE *file = fopen(call->arg, "rb");
    if (!file)
        return weft_call_fail(call, -errno, "%s", strerror(errno));
    int rc = decode(file, &picture);
    fclose(file);
    if (rc == 0)
        shrink(&picture, call->ret);
    free(picture.rgb);
    if (rc == -EMEDIUMTYPE)
        return weft_call_fail(call, rc, "neither JPEG nor PNG");
    return rc < 0 ? weft_call_fail(call, rc, "%s", weft_strerror(rc)) : 0;
}

/* Returns whether the file is on the strip. */
static bool tell(const char *path, const weft_outcome *outcome)
{
    if (outcome->how == WEFT_DONE)
        printf("%s: shrunk\n", path);
    else if (outcome->how == WEFT_CRASHED && outcome->signal)
        printf("%s: its decoder was killed by signal %d (%s)\n", path, outcome->signal,
               strsignal(outcome->signal));
    else if (outcome->how == WEFT_CRASHED)
        printf("%s: its decoder ended with exit code %d\n", path, outcome->exit_code);
    else
        printf("%s: %s\n", path, outcome->text);
    return outcome->how == WEFT_DONE;
}

static int write_strip(const char *path, const unsigned char *pixels, size_t count)
{
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = SIDE,
                        .height = (uint32_t)count * SIDE,
                        .format = PNG_FORMAT_RGB };
    if (png_image_write_to_file(&image, path, 0, pixels, 0, NULL))
        return 0;
    fprintf(stderr, "%s: %s\n", path, image.message);
    return -EIO;
}

/* Returns how many files are not on the strip, or a negative error. */
static int make_strip(const char *path, char **files, size_t count)
{
    unsigned char *strip = weft_shared_alloc(count * THUMBNAIL_BYTES);
    weft_outcome *outcomes = calloc(count, sizeof *outcomes);
    weft_map map = { .in = files, .count = count, .in_bytes = WEFT_STRING, .outcomes = outcomes };
    weft_pool *pool = NULL;
    int missing = 0;
    map.out = strip;
    map.out_bytes = THUMBNAIL_BYTES;
    map.on_failure = WEFT_GO_ON;
    int rc = strip && outcomes ? weft_pool_open(&pool, WEFT_PROCESSES, NULL) : -ENOMEM;
    if (rc == 0)
        rc = weft_pool_map(pool, make_thumbnail, &map, WEFT_FOREVER);
    weft_pool_close(pool);
    if (rc == 0 || rc == -ECHILD)
        rc = write_strip(path, strip, count);
    for (size_t i = 0; rc == 0 && i < count; i++)
        missing += !tell(files[i], &outcomes[i]);
    free(outcomes);
    weft_shared_free(strip);
    return rc < 0 ? rc : missing;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "Usage: %s STRIP FILE...\n", argv[0]);
        return 2;
    }
    int rc = weft_init();
    if (rc == 0)
        rc = make_strip(argv[1], argv + 2, (size_t)argc - 2);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
        return 2;
    }
    printf("%d of %d files are on %s\n", argc - 2 - rc, argc - 2, argv[1]);
    return rc > 0;
}
