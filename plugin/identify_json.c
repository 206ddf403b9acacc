/* SPDX-License-Identifier: Apache-2.0 */
/* JSON payloads, read by yajl: it neither recurses nor converts numbers. */
#include "plugin/identify_format.h"

#include <stdio.h>
#include <string.h>

#include <yajl/yajl_parse.h>

static int
on_null(void *canon)
{
    jg_canon_word(canon, "null");
    return 1;
}

static int
on_boolean(void *canon, int value)
{
    jg_canon_word(canon, value ? "true" : "false");
    return 1;
}

static int
on_number(void *canon, const char *text, size_t size_bytes)
{
    jg_canon_number(canon, text, size_bytes);
    return 1;
}

static int
on_string(void *canon, const unsigned char *text, size_t size_bytes)
{
    jg_canon_string(canon, text, size_bytes);
    return 1;
}

static int
on_name(void *canon, const unsigned char *name, size_t size_bytes)
{
    jg_canon_name(canon, name, size_bytes);
    return 1;
}

static int
on_start_object(void *canon)
{
    return jg_canon_begin(canon, true);
}

static int
on_start_array(void *canon)
{
    return jg_canon_begin(canon, false);
}

static int
on_end(void *canon)
{
    jg_canon_end(canon);
    return jg_canon_ok(canon);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_object,
    .yajl_map_key = on_name,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

/* The value of the escape `\uXXXX` at `at`, or -1 when it is none. */
static long
unicode_escape(const unsigned char *at, const unsigned char *end)
{
    long code = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int c = at[i] | 0x20;
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* Do the escapes spell whole characters? yajl would read half a surrogate pair as a question mark, so that different
 * strings would become equal. In JSON a backslash stands in strings only; anywhere else yajl refuses it. */
static bool
has_whole_characters(const unsigned char *at, size_t size_bytes)
{
    const unsigned char *end = at + size_bytes;
    while ((at = memchr(at, '\\', (size_t)(end - at)))) {
        long code = unicode_escape(at, end);
        if (code >= 0xdc00 && code <= 0xdfff)
            return false;
        if (code >= 0xd800 && code <= 0xdbff) {
            long low = unicode_escape(at + 6, end);
            if (low < 0xdc00 || low > 0xdfff)
                return false;
            at += 6;
        }
        at += code >= 0 ? 6 : 2;
        if (at >= end)
            break;
    }
    return true;
}

static bool
because(struct jg_error *reason, const char *why)
{
    snprintf(reason->text, sizeof(reason->text), "payload is not usable JSON: %s", why);
    return false;
}

/* The parser's own words, without the payload's text, which may be private. */
static void
explain(yajl_handle parser, struct jg_error *reason)
{
    size_t at = yajl_get_bytes_consumed(parser);
    unsigned char *text = yajl_get_error(parser, 0, NULL, 0);
    const char *words = text ? (const char *)text : "out of memory";
    snprintf(reason->text, sizeof(reason->text), "payload is not usable JSON: %.*s (at byte %zu)",
             (int)strcspn(words, "\n"), words, at);
    if (text)
        yajl_free_error(parser, text);
}

bool
jg_identify_json(const void *payload, size_t size_bytes, struct jg_canon *canon, struct jg_error *reason)
{
    if (!jg_utf8_valid(payload, size_bytes))
        return because(reason, "not valid UTF-8");
    if (!has_whole_characters(payload, size_bytes))
        return because(reason, "half of a surrogate pair");
    yajl_handle parser = yajl_alloc(&callbacks, NULL, canon);
    if (!parser)
        return because(reason, "out of memory");
    yajl_status status = yajl_parse(parser, payload, size_bytes);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(parser);
    if (status == yajl_status_error)
        explain(parser, reason);
    yajl_free(parser);
    if (status == yajl_status_error)
        return false;
    if (canon->is_too_deep)
        return because(reason, "nested too deep");
    return jg_canon_ok(canon) ? true : because(reason, "out of memory");
}
