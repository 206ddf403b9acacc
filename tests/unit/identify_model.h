/* SPDX-License-Identifier: Apache-2.0 */
/* Generated argument values, for the property tests. A model knows what a value *is*, apart from any spelling of it,
 * and has an equality of its own, which shares nothing with the code under test. */
#ifndef JG_TESTS_UNIT_IDENTIFY_MODEL_H
#define JG_TESTS_UNIT_IDENTIFY_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum model_kind {
    MODEL_NULL,
    MODEL_FALSE,
    MODEL_TRUE,
    MODEL_INTEGER,
    MODEL_FLOAT,
    MODEL_STRING,
    MODEL_ARRAY,
    MODEL_OBJECT
};

#define MODEL_DIGITS 48
#define MODEL_LETTERS 8
#define MODEL_PARTS 5

struct model_text {
    uint32_t letters[MODEL_LETTERS]; /* code points */
    size_t count;
};

struct model {
    enum model_kind kind;
    bool is_negative;          /* INTEGER, FLOAT; false for zero */
    char digits[MODEL_DIGITS]; /* INTEGER: no leading zeros, zero is ""; FLOAT: neither leading nor trailing ones */
    int exponent;              /* FLOAT: the power of ten of the digit after the last */
    struct model_text text;    /* STRING */
    struct model *parts[MODEL_PARTS];
    struct model_text names[MODEL_PARTS]; /* OBJECT; may repeat */
    size_t count;                         /* ARRAY, OBJECT */
};

/* A small deterministic generator of random numbers. */
struct model_random {
    uint64_t state;
};
uint32_t model_below(struct model_random *random, uint32_t bound);

/* A random value at most `depth` levels deep. The caller destroys it. */
struct model *model_new(struct model_random *random, int depth);
/* A random value that schemas/job.avsc can hold as args: an array of scalars and of flat lists and maps of scalars; its
 * numbers fit an int64_t, or 15 significant digits. */
struct model *model_new_job_args(struct model_random *random);
struct model *model_copy(const struct model *model);
void model_destroy(struct model *model);

bool model_equal(const struct model *a, const struct model *b);

/* Change the value somewhere, mostly to something that looks alike: 1 to "1" or 1.0, ["a","b"] to ["a,b"] ... It may
 * come out equal all the same. */
void model_change(struct model *model, struct model_random *random);

/* Append one of the value's spellings in JSON: spaces, escapes, forms of numbers and the order of members at random,
 * but not the order among members of the same name. */
void model_spell(const struct model *model, struct model_random *random, struct jg_buf *out);

/* Append a code point in UTF-8. */
void model_put_letter(struct jg_buf *out, uint32_t letter);

#endif
