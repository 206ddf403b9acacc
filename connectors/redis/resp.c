/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/resp.h"

#include <stdarg.h>
#include <string.h>

#define NUMBER_CHARS 20

/* `prefix`, the number, CR LF. */
static void
append_line(struct jg_buf *out, char prefix, size_t number)
{
    char text[NUMBER_CHARS + 3];
    size_t at = sizeof text;
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    text[--at] = prefix;
    jg_buf_append(out, text + at, sizeof text - at);
}

void
jg_resp_begin(struct jg_buf *out, size_t count)
{
    append_line(out, '*', count);
}

void
jg_resp_bytes(struct jg_buf *out, const void *data, size_t size)
{
    append_line(out, '$', size);
    jg_buf_append(out, data, size);
    jg_buf_append(out, "\r\n", 2);
}

void
jg_resp_text(struct jg_buf *out, const char *text)
{
    jg_resp_bytes(out, text, strlen(text));
}

void
jg_resp_number(struct jg_buf *out, int64_t number)
{
    char text[NUMBER_CHARS + 1];
    size_t at = sizeof text;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        text[--at] = '-';
    jg_resp_bytes(out, text + at, sizeof text - at);
}

void
jg_resp_command(struct jg_buf *out, ...)
{
    va_list args;
    size_t count = 0;
    va_start(args, out);
    while (va_arg(args, const char *))
        count++;
    va_end(args);
    jg_resp_begin(out, count);
    va_start(args, out);
    for (size_t i = 0; i < count; i++)
        jg_resp_text(out, va_arg(args, const char *));
    va_end(args);
}
