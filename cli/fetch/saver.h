/* SPDX-License-Identifier: MIT */
/* Saving bodies: a name made from the URL, a temporary file, a rename. */
#ifndef FETCH_SAVER_H
#define FETCH_SAVER_H

#include <stddef.h>
#include <stdint.h>

/* Of the file name, its NUL included; file systems take 255 bytes. */
#define SAVER_NAME_MAX 192
#define SAVER_TEMP_MAX 64

struct saver {
    int directory; /* borrowed; -1: bodies are not saved */
    int file;      /* the temporary file, -1: none */
    char temp[SAVER_TEMP_MAX];
};

/* directory: open, borrowed; -1: nothing will be saved. */
void saver_init(struct saver *saver, int directory);

/* Begins a body, in a temporary file that only this URL of this run uses: what a worker that died
 * left there is overwritten. Returns 0 or -errno. */
int saver_begin(struct saver *saver, uint64_t run, uint64_t number);
int saver_write(struct saver *saver, const char *data, size_t size);

/* Ends it: under its name, or not at all. Without a body that was begun both do nothing. */
int saver_commit(struct saver *saver, const char *name);
void saver_discard(struct saver *saver);

/* The name of a URL's file: readable, of harmless characters, at most SAVER_NAME_MAX with its NUL,
 * and another one for every other URL. */
void saver_name(const char *url, char *name);

/* Removes what a worker that died may have left of a URL's body. */
void saver_sweep(int directory, uint64_t run, uint64_t number);

#endif
