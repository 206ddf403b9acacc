/* SPDX-License-Identifier: Apache-2.0 */
/* Reading canonical text back: it is well formed by construction, so this only needs to find ends. */
#include "plugin/canon.h"

#include <string.h>

/* The end of the string that starts at `at`. */
static const char *
skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at < end ? at + 1 : end;
}

/* The end of the value that starts at `at`. */
static const char *
skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        bool is_closing = *at == ']' || *at == '}';
        if (depth == 0 && (is_closing || *at == ','))
            break;
        if (*at == '[' || *at == '{')
            depth++;
        else if (is_closing)
            depth--;
        at++;
    }
    return at;
}

struct jg_span
jg_span_member(struct jg_span value, const char *name, size_t name_bytes)
{
    struct jg_span found = {.text = NULL, .size_bytes = 0};
    if (value.size_bytes == 0 || value.text[0] != '{')
        return found;
    const char *end = value.text + value.size_bytes - 1;
    for (const char *at = value.text + 1; at < end; at++) {
        const char *colon = skip_string(at, end);
        int order = jg_canon_compare_names(at + 1, (size_t)(colon - at) - 2, name, name_bytes);
        if (order > 0)
            break;
        const char *next = skip_value(colon + 1, end);
        if (order == 0)
            found = (struct jg_span){.text = colon + 1, .size_bytes = (size_t)(next - colon - 1)};
        at = next;
    }
    return found;
}

struct jg_span
jg_span_item(struct jg_span value, size_t index)
{
    if (value.size_bytes == 0 || value.text[0] != '[')
        return (struct jg_span){.text = NULL, .size_bytes = 0};
    const char *end = value.text + value.size_bytes - 1;
    for (const char *at = value.text + 1; at < end; at++) {
        const char *next = skip_value(at, end);
        if (index-- == 0)
            return (struct jg_span){.text = at, .size_bytes = (size_t)(next - at)};
        at = next;
    }
    return (struct jg_span){.text = NULL, .size_bytes = 0};
}

/* The length of the multi-byte character at `at`, by its first byte, and the bounds of its second byte, which rule out
 * overlong forms, surrogates and what is above U+10FFFF. 0: no character starts so. */
static size_t
sequence_size(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

bool
jg_utf8_valid(const void *data, size_t size_bytes)
{
    const unsigned char *at = data;
    const unsigned char *end = at + size_bytes;
    while (at < end) {
        uint64_t eight;
        if (end - at >= 8 && (memcpy(&eight, at, 8), (eight & 0x8080808080808080u) == 0)) {
            at += 8;
            continue;
        }
        if (*at < 0x80) {
            at++;
            continue;
        }
        unsigned char low;
        unsigned char high;
        size_t size = sequence_size(*at, &low, &high);
        if (size == 0 || (size_t)(end - at) < size || at[1] < low || at[1] > high)
            return false;
        for (size_t i = 2; i < size; i++)
            if ((at[i] & 0xc0) != 0x80)
                return false;
        at += size;
    }
    return true;
}
