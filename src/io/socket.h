/* SPDX-License-Identifier: MIT */
/* io/socket.h: what streams, listeners and datagrams have in common. */
#ifndef WEFT_IO_SOCKET_H
#define WEFT_IO_SOCKET_H

#include <sys/stat.h>

#include "io/address.h"

/* The file that a bound Unix socket has in the file system. */
struct socket_file {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": it has none */
    dev_t device;
    ino_t inode;
};

/*
 * Opens a non-blocking, close-on-exec socket for an address; TCP without delay.
 * Returns  the descriptor; -errno.
 */
int socket_open(const struct address *address, int type);

/*
 * Opens one at the first of a text's addresses that this machine has.
 * Returns  the descriptor, and *ret_file to be removed; the errors of address_find(), socket() and
 *          bind().
 */
int socket_open_at(const char *text, enum address_use use, int type, struct socket_file *ret_file);

/* Removes the file, if it is still the one that was made. */
void socket_file_remove(const struct socket_file *file);

/* Makes a descriptor of the program's weft's own: non-blocking and close-on-exec. Returns 0;
   -errno, and it is as it was. */
int socket_own(int fd);

/* An option of level SOL_SOCKET. Returns its value; -errno. */
int socket_option(int fd, int name);

#endif
