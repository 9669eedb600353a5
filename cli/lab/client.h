/* SPDX-License-Identifier: MIT */
/* A client of the embedded site: one connection, which is kept open between pages. */
#ifndef LAB_CLIENT_H
#define LAB_CLIENT_H

#include <weft.h>

/* A connection, or none yet. Valid when zeroed. */
struct page_client {
    weft_stream *stream; /* owned */
};

/* Fetches a page that is answered after so many milliseconds. Connects if need be.
 * Returns 0; -EPROTO: the answer is not a 200 with a length; or what weft/stream.h says. */
int page_get(struct page_client *client, const char *site, uint32_t ms, weft_deadline deadline);

void page_client_close(struct page_client *client);

#endif
