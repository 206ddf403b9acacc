/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical text: one spelling for each value, so that equal arguments hash alike and different ones never do.
 *
 * It is compact JSON with these rules, which are part of the job key and must not change:
 *   - members of an object sorted by the bytes of their name as written here; equal names are all kept, in the order
 *     in which they came (most readers take the last one, so their order means something);
 *   - strings in UTF-8, escaped only where needed: \" \\ \b \f \n \r \t, and \u00xx for other control characters
 *     (U+0000 to U+001F, U+007F to U+009F), so that the text is printable;
 *   - whole numbers as their digits, of any length; -0 is 0;
 *   - numbers with a fraction or an exponent always with a point, so that 1.0 is not 1: plain from 0.0001 up to 16
 * digits before the point (100.0, 0.25), else 1.5e-7, 1.0e16; by exact decimal arithmetic, never through a double. An
 *     exponent of more than 15 digits stays as it was spelled;
 *   - bytes that are no text (Avro's bytes and fixed; a key, header or raw payload that is not UTF-8) as 0x and hex,
 * which no JSON value looks like; Avro's nan, inf and -inf as these words. */
#ifndef JG_PLUGIN_CANON_H
#define JG_PLUGIN_CANON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Arrays and objects nested deeper than this are refused. */
#define JG_CANON_MAX_DEPTH 128

struct jg_canon_frame {
    size_t start;        /* in `out`, after the opening bracket */
    size_t first_member; /* of an object, in `members` */
    bool is_object;
    bool is_unsorted;
};

struct jg_canon_member {
    size_t start; /* in `out`: the name's opening quote */
    size_t name_bytes;
    size_t size_bytes; /* name and value; known when the object ends */
};

/* A writer of canonical text: values come in document order. All borrowed buffers are appended to. */
struct jg_canon {
    struct jg_buf *out;     /* the text; borrowed */
    struct jg_buf *scratch; /* borrowed */
    size_t depth;
    bool is_too_deep;
    bool is_out_of_memory; /* look at jg_canon_ok, which knows of the buffers' failures too */
    struct jg_canon_member *members;
    size_t member_count;
    size_t member_room;
    struct jg_canon_frame frames[JG_CANON_MAX_DEPTH];
    struct jg_canon_member some_members[32]; /* spares small objects an allocation */
};

void jg_canon_init(struct jg_canon *canon, struct jg_buf *out, struct jg_buf *scratch);
/* Free what the writer owns; `out` and `scratch` stay. */
void jg_canon_clear(struct jg_canon *canon);

/* False once something went wrong; the text is not to be used then. */
bool jg_canon_ok(const struct jg_canon *canon);

/* An object's or array's begin. False: too deep, or out of memory: write no more. */
JG_MUST_USE bool jg_canon_begin(struct jg_canon *canon, bool is_object);
void jg_canon_end(struct jg_canon *canon);
/* A member's name; its value comes next. */
void jg_canon_name(struct jg_canon *canon, const void *name, size_t size_bytes);
/* `text` must be valid UTF-8. */
void jg_canon_string(struct jg_canon *canon, const void *text, size_t size_bytes);
void jg_canon_bytes(struct jg_canon *canon, const void *data, size_t size_bytes);
/* A string where it is valid UTF-8, else bytes. */
void jg_canon_string_or_bytes(struct jg_canon *canon, const void *data, size_t size_bytes);
/* null, true, false: verbatim. */
void jg_canon_word(struct jg_canon *canon, const char *word);
/* A number as JSON spells it. */
void jg_canon_number(struct jg_canon *canon, const char *text, size_t size_bytes);
void jg_canon_integer(struct jg_canon *canon, int64_t value);
/* By the shortest decimal that reads back as the same value (as other languages print it in their JSON), of `double`
 * or, when `is_single`, of `float`. */
void jg_canon_float(struct jg_canon *canon, double value, bool is_single);

/* The order of members: by the bytes of their names, given as canonical text without quotes. */
int jg_canon_compare_names(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

/* Strict: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool jg_utf8_valid(const void *data, size_t size_bytes);

/* A piece of canonical text: one value. `text` NULL: none. */
struct jg_span {
    const char *text;
    size_t size_bytes;
};

/* The value of an object's member; of several with that name the last. `name` is canonical text without its quotes.
 * None when `value` is no object or has no such member. */
struct jg_span jg_span_member(struct jg_span value, const char *name, size_t name_bytes);
/* An array's item, counted from 0. None when `value` is no array or too short. */
struct jg_span jg_span_item(struct jg_span value, size_t index);

#endif
