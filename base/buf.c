/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Make room for `more_bytes` and a NUL. */
static bool
reserve(struct jg_buf *buf, size_t more_bytes)
{
    if (buf->failed)
        return false;
    size_t need = buf->size_bytes + more_bytes + 1;
    if (need <= buf->room_bytes)
        return true;
    size_t room = buf->room_bytes ? buf->room_bytes * 2 : 128;
    while (room < need)
        room *= 2;
    char *data = realloc(buf->data, room);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->room_bytes = room;
    return true;
}

void
jg_buf_append(struct jg_buf *buf, const void *data, size_t size_bytes)
{
    if (!reserve(buf, size_bytes))
        return;
    if (size_bytes)
        memcpy(buf->data + buf->size_bytes, data, size_bytes);
    buf->size_bytes += size_bytes;
    buf->data[buf->size_bytes] = '\0';
}

void
jg_buf_text(struct jg_buf *buf, const char *text)
{
    jg_buf_append(buf, text, strlen(text));
}

void
jg_buf_format(struct jg_buf *buf, const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (size >= 0 && reserve(buf, (size_t)size)) {
        vsnprintf(buf->data + buf->size_bytes, (size_t)size + 1, fmt, again);
        buf->size_bytes += (size_t)size;
    }
    va_end(again);
}

void
jg_buf_reset(struct jg_buf *buf)
{
    buf->size_bytes = 0;
    buf->failed = false;
    if (buf->data)
        buf->data[0] = '\0';
}

void
jg_buf_clear(struct jg_buf *buf)
{
    free(buf->data);
    *buf = (struct jg_buf)JG_BUF_INIT;
}
