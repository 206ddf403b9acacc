/* SPDX-License-Identifier: Apache-2.0 */
/* A growable byte buffer. One failure sticks: append freely, look at `failed` once at the end. */
#ifndef JG_BASE_BUF_H
#define JG_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct jg_buf {
    char *data;        /* NUL-terminated once anything was appended; owned */
    size_t size_bytes; /* without the NUL */
    size_t room_bytes;
    bool failed; /* out of memory: the content is not to be used */
};

#define JG_BUF_INIT                                                                                                    \
    {                                                                                                                  \
        .data = NULL, .size_bytes = 0, .room_bytes = 0, .failed = false                                                \
    }

void jg_buf_append(struct jg_buf *buf, const void *data, size_t size_bytes);
void jg_buf_text(struct jg_buf *buf, const char *text);
void jg_buf_format(struct jg_buf *buf, const char *fmt, ...) JG_PRINTF(2, 3);

/* Forget the content, keep the memory. */
void jg_buf_reset(struct jg_buf *buf);
/* Free the memory. The buffer may be used again. */
void jg_buf_clear(struct jg_buf *buf);

#endif
