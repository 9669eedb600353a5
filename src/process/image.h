/* SPDX-License-Identifier: MIT */
/* process/image.h: the code that every child can see. process_sees_code() asks. */
#ifndef WEFT_PROCESS_IMAGE_H
#define WEFT_PROCESS_IMAGE_H

/* Notes the code that is loaded now. Once, before the zygote is forked. Returns 0; -ENOMEM. */
int image_note(void);

#endif
