/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/canon.h"

#include <stdlib.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

void
jg_canon_init(struct jg_canon *canon, struct jg_buf *out, struct jg_buf *scratch)
{
    canon->out = out;
    canon->scratch = scratch;
    canon->depth = 0;
    canon->is_too_deep = false;
    canon->is_out_of_memory = false;
    canon->members = canon->some_members;
    canon->member_count = 0;
    canon->member_room = sizeof(canon->some_members) / sizeof(canon->some_members[0]);
}

void
jg_canon_clear(struct jg_canon *canon)
{
    if (canon->members != canon->some_members)
        free(canon->members);
    canon->members = canon->some_members;
    canon->member_count = 0;
}

bool
jg_canon_ok(const struct jg_canon *canon)
{
    return !canon->is_too_deep && !canon->is_out_of_memory && !canon->out->failed;
}

/* The comma between values. Within an object the comma comes with the name. */
static void
begin_value(struct jg_canon *canon)
{
    if (canon->depth == 0)
        return;
    const struct jg_canon_frame *frame = &canon->frames[canon->depth - 1];
    if (!frame->is_object && canon->out->size_bytes != frame->start)
        jg_buf_append(canon->out, ",", 1);
}

bool
jg_canon_begin(struct jg_canon *canon, bool is_object)
{
    begin_value(canon);
    if (canon->depth == JG_CANON_MAX_DEPTH)
        canon->is_too_deep = true;
    if (!jg_canon_ok(canon))
        return false;
    jg_buf_append(canon->out, is_object ? "{" : "[", 1);
    canon->frames[canon->depth++] = (struct jg_canon_frame){
        .start = canon->out->size_bytes, .first_member = canon->member_count, .is_object = is_object};
    return jg_canon_ok(canon);
}

int
jg_canon_compare_names(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order != 0 ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int
compare_names(const char *text, const struct jg_canon_member *a, const struct jg_canon_member *b)
{
    return jg_canon_compare_names(text + a->start + 1, a->name_bytes, text + b->start + 1, b->name_bytes);
}

static int
compare_members(const void *a, const void *b, void *text)
{
    const struct jg_canon_member *left = a;
    const struct jg_canon_member *right = b;
    int order = compare_names(text, left, right);
    if (order != 0)
        return order;
    return (left->start > right->start) - (left->start < right->start);
}

/* Put the members of the object that ends here in order. */
static void
sort_members(struct jg_canon *canon, const struct jg_canon_frame *frame)
{
    struct jg_buf *out = canon->out;
    struct jg_canon_member *members = canon->members + frame->first_member;
    size_t count = canon->member_count - frame->first_member;
    for (size_t i = 0; i < count; i++) {
        size_t end = i + 1 < count ? members[i + 1].start - 1 : out->size_bytes;
        members[i].size_bytes = end - members[i].start;
    }
    qsort_r(members, count, sizeof(*members), compare_members, out->data);
    jg_buf_reset(canon->scratch);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            jg_buf_append(canon->scratch, ",", 1);
        jg_buf_append(canon->scratch, out->data + members[i].start, members[i].size_bytes);
    }
    if (canon->scratch->failed)
        canon->is_out_of_memory = true;
    else
        memcpy(out->data + frame->start, canon->scratch->data, canon->scratch->size_bytes);
}

void
jg_canon_end(struct jg_canon *canon)
{
    const struct jg_canon_frame *frame = &canon->frames[--canon->depth];
    if (frame->is_object) {
        if (frame->is_unsorted && jg_canon_ok(canon))
            sort_members(canon, frame);
        canon->member_count = frame->first_member;
    }
    jg_buf_append(canon->out, frame->is_object ? "}" : "]", 1);
}

static bool
reserve_member(struct jg_canon *canon)
{
    if (canon->member_count < canon->member_room)
        return true;
    bool is_embedded = canon->members == canon->some_members;
    size_t room = canon->member_room * 2;
    struct jg_canon_member *members = realloc(is_embedded ? NULL : canon->members, room * sizeof(*members));
    if (!members) {
        canon->is_out_of_memory = true;
        return false;
    }
    if (is_embedded)
        memcpy(members, canon->some_members, sizeof(canon->some_members));
    canon->members = members;
    canon->member_room = room;
    return true;
}

/* How many bytes from `at` need no escape. U+0080 to U+009F are C2 80 to C2 9F in UTF-8. */
static size_t
plain_run(const unsigned char *at, const unsigned char *end)
{
    const unsigned char *start = at;
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\' && *at != 0x7f &&
           !(*at == 0xc2 && end - at > 1 && at[1] < 0xa0))
        at++;
    return (size_t)(at - start);
}

static void
put_escape(struct jg_buf *out, unsigned char code)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\'};
    if (code < sizeof(letters) && letters[code]) {
        jg_buf_append(out, (char[]){'\\', letters[code]}, 2);
        return;
    }
    jg_buf_append(out, (char[]){'\\', 'u', '0', '0', hex_digits[code >> 4], hex_digits[code & 15]}, 6);
}

static void
put_quoted(struct jg_buf *out, const void *text, size_t size_bytes)
{
    const unsigned char *at = text;
    const unsigned char *end = at + size_bytes;
    jg_buf_append(out, "\"", 1);
    while (at < end) {
        size_t run = plain_run(at, end);
        jg_buf_append(out, at, run);
        at += run;
        if (at == end)
            break;
        if (*at == 0xc2)
            at++;
        put_escape(out, *at++);
    }
    jg_buf_append(out, "\"", 1);
}

void
jg_canon_name(struct jg_canon *canon, const void *name, size_t size_bytes)
{
    struct jg_canon_frame *frame = &canon->frames[canon->depth - 1];
    if (!reserve_member(canon))
        return;
    if (canon->out->size_bytes != frame->start)
        jg_buf_append(canon->out, ",", 1);
    struct jg_canon_member *member = &canon->members[canon->member_count++];
    member->start = canon->out->size_bytes;
    put_quoted(canon->out, name, size_bytes);
    if (canon->out->failed)
        return;
    member->name_bytes = canon->out->size_bytes - member->start - 2;
    jg_buf_append(canon->out, ":", 1);
    if (canon->member_count > frame->first_member + 1 && compare_names(canon->out->data, member - 1, member) > 0)
        frame->is_unsorted = true;
}

void
jg_canon_string(struct jg_canon *canon, const void *text, size_t size_bytes)
{
    begin_value(canon);
    put_quoted(canon->out, text, size_bytes);
}

void
jg_canon_bytes(struct jg_canon *canon, const void *data, size_t size_bytes)
{
    const unsigned char *at = data;
    begin_value(canon);
    jg_buf_append(canon->out, "0x", 2);
    for (size_t i = 0; i < size_bytes; i++)
        jg_buf_append(canon->out, (char[]){hex_digits[at[i] >> 4], hex_digits[at[i] & 15]}, 2);
}

void
jg_canon_string_or_bytes(struct jg_canon *canon, const void *data, size_t size_bytes)
{
    if (jg_utf8_valid(data, size_bytes))
        jg_canon_string(canon, data, size_bytes);
    else
        jg_canon_bytes(canon, data, size_bytes);
}

void
jg_canon_word(struct jg_canon *canon, const char *word)
{
    begin_value(canon);
    jg_buf_text(canon->out, word);
}

void
jg_canon_integer(struct jg_canon *canon, int64_t value)
{
    begin_value(canon);
    jg_buf_format(canon->out, "%lld", (long long)value);
}
