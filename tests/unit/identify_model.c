/* SPDX-License-Identifier: Apache-2.0 */
#include "identify_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t
model_below(struct model_random *random, uint32_t bound)
{
    /* A linear congruential generator of 64 bits; its upper half is random enough for choosing. */
    random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random->state >> 33) % bound);
}

static struct model *
allocate(void)
{
    struct model *model = calloc(1, sizeof(*model));
    if (!model)
        abort();
    return model;
}

/* Few letters, so that equal texts come up often; among them every kind of escape and length in UTF-8. */
static const uint32_t letters[] = {'a', 'b', '1', '0', '.',  ',',  '"',  '\\', '/',  ' ',    ':',    '[',     '{',
                                   'u', 'n', 'e', 0,   '\n', 0x1f, 0x7f, 0x85, 0xe9, 0x20ac, 0xfffd, 0x1f600, 0x10ffff};

static void
make_text(struct model_random *random, struct model_text *text)
{
    text->count = model_below(random, 4) ? model_below(random, 3) : model_below(random, MODEL_LETTERS + 1);
    for (size_t i = 0; i < text->count; i++)
        text->letters[i] =
            letters[model_below(random, model_below(random, 2) ? 3 : sizeof(letters) / sizeof(*letters))];
}

static void
strip_zeros(struct model *model)
{
    size_t zeros = strspn(model->digits, "0");
    memmove(model->digits, model->digits + zeros, strlen(model->digits) + 1 - zeros);
    size_t size = strlen(model->digits);
    while (model->kind == MODEL_FLOAT && size > 0 && model->digits[size - 1] == '0') {
        model->digits[--size] = '\0';
        model->exponent++;
    }
    if (size == 0) {
        model->is_negative = false;
        model->exponent = 0;
    }
}

static void
make_number(struct model_random *random, struct model *model, uint32_t most_digits, int most_exponent)
{
    uint32_t size = model_below(random, 3) ? 1 + model_below(random, 2) : 1 + model_below(random, most_digits);
    for (uint32_t i = 0; i < size; i++)
        model->digits[i] = (char)('0' + model_below(random, model_below(random, 2) ? 2 : 10));
    model->is_negative = model_below(random, 4) == 0;
    if (model->kind == MODEL_FLOAT)
        model->exponent = (int)model_below(random, 4) - 2;
    if (model->kind == MODEL_FLOAT && most_exponent > 0 && model_below(random, 4) == 0)
        model->exponent = (int)model_below(random, 2 * (uint32_t)most_exponent) - most_exponent;
    strip_zeros(model);
}

static void
make_scalar(struct model_random *random, struct model *model, uint32_t most_digits, int most_exponent)
{
    static const enum model_kind kinds[] = {MODEL_NULL,  MODEL_FALSE, MODEL_TRUE,   MODEL_INTEGER,
                                            MODEL_FLOAT, MODEL_FLOAT, MODEL_STRING, MODEL_INTEGER};
    model->kind = kinds[model_below(random, sizeof(kinds) / sizeof(*kinds))];
    if (model->kind == MODEL_INTEGER || model->kind == MODEL_FLOAT)
        make_number(random, model, most_digits, most_exponent);
    if (model->kind == MODEL_STRING)
        make_text(random, &model->text);
}

struct model *
model_new(struct model_random *random, int depth)
{
    struct model *model = allocate();
    if (depth == 0 || model_below(random, 3) == 0) {
        make_scalar(random, model, 40, 400);
        return model;
    }
    model->kind = model_below(random, 2) ? MODEL_ARRAY : MODEL_OBJECT;
    model->count = model_below(random, MODEL_PARTS + 1);
    for (size_t i = 0; i < model->count; i++) {
        model->parts[i] = model_new(random, depth - 1);
        make_text(random, &model->names[i]);
    }
    return model;
}

struct model *
model_new_job_args(struct model_random *random)
{
    struct model *args = allocate();
    args->kind = MODEL_ARRAY;
    args->count = model_below(random, MODEL_PARTS + 1);
    for (size_t i = 0; i < args->count; i++) {
        struct model *arg = args->parts[i] = allocate();
        if (model_below(random, 3)) {
            make_scalar(random, arg, 15, 0);
            continue;
        }
        arg->kind = model_below(random, 2) ? MODEL_ARRAY : MODEL_OBJECT;
        arg->count = model_below(random, MODEL_PARTS + 1);
        for (size_t j = 0; j < arg->count; j++) {
            make_text(random, &arg->names[j]);
            arg->parts[j] = allocate();
            make_scalar(random, arg->parts[j], 15, 0);
        }
    }
    return args;
}

struct model *
model_copy(const struct model *model)
{
    struct model *copy = allocate();
    *copy = *model;
    for (size_t i = 0; i < model->count; i++)
        copy->parts[i] = model_copy(model->parts[i]);
    return copy;
}

static void
clear_parts(struct model *model)
{
    for (size_t i = 0; i < model->count; i++)
        model_destroy(model->parts[i]);
    model->count = 0;
}

void
model_destroy(struct model *model)
{
    clear_parts(model);
    free(model);
}

static bool
text_equal(const struct model_text *a, const struct model_text *b)
{
    return a->count == b->count && memcmp(a->letters, b->letters, a->count * sizeof(a->letters[0])) == 0;
}

/* Objects are equal when, for each name, both have the same values in the same order. */
static bool
objects_equal(const struct model *a, const struct model *b)
{
    bool is_used[MODEL_PARTS] = {false};
    for (size_t i = 0; i < a->count; i++) {
        size_t j = 0;
        while (j < b->count && (is_used[j] || !text_equal(&a->names[i], &b->names[j])))
            j++;
        if (j == b->count || !model_equal(a->parts[i], b->parts[j]))
            return false;
        is_used[j] = true;
    }
    return true;
}

bool
model_equal(const struct model *a, const struct model *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case MODEL_INTEGER:
        return a->is_negative == b->is_negative && strcmp(a->digits, b->digits) == 0;
    case MODEL_FLOAT:
        return a->is_negative == b->is_negative && strcmp(a->digits, b->digits) == 0 && a->exponent == b->exponent;
    case MODEL_STRING:
        return text_equal(&a->text, &b->text);
    case MODEL_ARRAY:
        for (size_t i = 0; i < a->count; i++)
            if (!model_equal(a->parts[i], b->parts[i]))
                return false;
        return true;
    case MODEL_OBJECT:
        return objects_equal(a, b);
    default:
        return true;
    }
}

/* Another value with the same letters: 12 becomes "12" or 12.0, "12" becomes 12. */
static void
change_kind(struct model *model, struct model_random *random)
{
    bool is_number = model->kind == MODEL_INTEGER || model->kind == MODEL_FLOAT;
    if (is_number && model_below(random, 2)) {
        model->text.count = 0;
        for (size_t i = 0; i < MODEL_LETTERS && (model->digits[i] || i == 0); i++)
            model->text.letters[model->text.count++] = model->digits[i] ? (unsigned char)model->digits[i] : '0';
        model->kind = MODEL_STRING;
    } else if (is_number) {
        model->kind = model->kind == MODEL_INTEGER ? MODEL_FLOAT : MODEL_INTEGER;
        model->exponent = 0;
        strip_zeros(model);
    } else if (model->kind == MODEL_STRING) {
        memset(model->digits, 0, sizeof(model->digits));
        for (size_t i = 0; i < model->text.count; i++)
            model->digits[i] =
                model->text.letters[i] >= '0' && model->text.letters[i] <= '9' ? (char)model->text.letters[i] : '1';
        model->is_negative = false;
        model->kind = MODEL_INTEGER;
        strip_zeros(model);
    } else if (model->kind <= MODEL_TRUE) {
        model->kind = (enum model_kind)model_below(random, 3);
    } else {
        model->kind = model->kind == MODEL_ARRAY ? MODEL_OBJECT : MODEL_ARRAY;
    }
}

/* ["a","b"] becomes ["a,b"]. */
static void
join_strings(struct model *array)
{
    struct model_text *left = &array->parts[0]->text;
    const struct model_text *right = &array->parts[1]->text;
    if (left->count + right->count + 1 > MODEL_LETTERS)
        return;
    left->letters[left->count++] = ',';
    for (size_t i = 0; i < right->count; i++)
        left->letters[left->count++] = right->letters[i];
    model_destroy(array->parts[1]);
    array->count--;
    for (size_t i = 1; i < array->count; i++)
        array->parts[i] = array->parts[i + 1];
}

static void
change_parts(struct model *model, struct model_random *random)
{
    size_t index = model_below(random, (uint32_t)model->count);
    size_t other = model_below(random, (uint32_t)model->count);
    struct model *part = model->parts[index];
    switch (model_below(random, 5)) {
    case 0: /* one less */
        model_destroy(part);
        model->count--;
        model->parts[index] = model->parts[model->count];
        model->names[index] = model->names[model->count];
        break;
    case 1: /* one twice */
        if (model->count < MODEL_PARTS) {
            model->names[model->count] = model->names[index];
            model->parts[model->count++] = model_copy(part);
        }
        break;
    case 2: /* two in each other's place */
        model->parts[index] = model->parts[other];
        model->parts[other] = part;
        break;
    case 3: /* another name */
        make_text(random, &model->names[index]);
        break;
    default:
        if (model->kind == MODEL_ARRAY && model->count > 1 && model->parts[0]->kind == MODEL_STRING &&
            model->parts[1]->kind == MODEL_STRING)
            join_strings(model);
        break;
    }
}

void
model_change(struct model *model, struct model_random *random)
{
    if (model->count > 0 && model_below(random, 3)) {
        model_change(model->parts[model_below(random, (uint32_t)model->count)], random);
        return;
    }
    switch (model_below(random, 4)) {
    case 0:
        change_kind(model, random);
        break;
    case 1:
        if (model->count > 0)
            change_parts(model, random);
        break;
    case 2:
        model->is_negative = !model->is_negative && model->digits[0];
        if (model->kind == MODEL_FLOAT && model->digits[0])
            model->exponent++;
        break;
    default:
        clear_parts(model);
        memset(model, 0, sizeof(*model));
        make_scalar(random, model, 40, 400);
        break;
    }
}

void
model_put_letter(struct jg_buf *out, uint32_t letter)
{
    char bytes[4];
    size_t size = letter < 0x80 ? 1 : letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;
    static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; letter >>= 6)
        bytes[i] = (char)(0x80 | (letter & 0x3f));
    bytes[0] = (char)(heads[size] | letter);
    jg_buf_append(out, bytes, size);
}

static void
spell_space(struct model_random *random, struct jg_buf *out)
{
    while (model_below(random, 4) == 0)
        jg_buf_append(out, &" \t\r\n"[model_below(random, 4)], 1);
}

static void
spell_letter(uint32_t letter, struct model_random *random, struct jg_buf *out)
{
    static const char shorts[] = "\"\"\\\\//\bb\ff\nn\rr\tt";
    const char *form = model_below(random, 2) && letter > 0 && letter < 0x80 ? strchr(shorts, (int)letter) : NULL;
    bool must_escape = letter < 0x20 || letter == '"' || letter == '\\';
    bool is_lower = model_below(random, 2) == 0;
    if (form && (form - shorts) % 2 == 0) {
        jg_buf_append(out, "\\", 1);
        jg_buf_append(out, form + 1, 1);
    } else if (!must_escape && model_below(random, 3)) {
        model_put_letter(out, letter);
    } else if (letter >= 0x10000) {
        char pair[16];
        snprintf(pair, sizeof(pair), "\\u%04x\\u%04X", 0xd800 + ((letter - 0x10000) >> 10), 0xdc00 + (letter & 0x3ff));
        jg_buf_text(out, pair);
    } else {
        char escape[8];
        snprintf(escape, sizeof(escape), is_lower ? "\\u%04x" : "\\u%04X", letter);
        jg_buf_text(out, escape);
    }
}

static void
spell_text(const struct model_text *text, struct model_random *random, struct jg_buf *out)
{
    jg_buf_append(out, "\"", 1);
    for (size_t i = 0; i < text->count; i++)
        spell_letter(text->letters[i], random, out);
    jg_buf_append(out, "\"", 1);
}

/* Digits with a point after the first `whole` of them, padded with zeros. */
static void
spell_with_point(const char *digits, int whole, struct model_random *random, struct jg_buf *out)
{
    int size = (int)strlen(digits);
    if (whole <= 0)
        jg_buf_append(out, "0", 1);
    for (int i = 0; i < whole; i++)
        jg_buf_append(out, i < size ? &digits[i] : "0", 1);
    jg_buf_append(out, ".", 1);
    for (int i = whole; i < 0; i++)
        jg_buf_append(out, "0", 1);
    if (size > whole)
        jg_buf_text(out, digits + (whole > 0 ? whole : 0));
    if (size <= whole || model_below(random, 2))
        jg_buf_text(out, "0");
}

static void
spell_float(const struct model *model, struct model_random *random, struct jg_buf *out)
{
    int size = (int)strlen(model->digits);
    bool is_negative = size > 0 ? model->is_negative : model_below(random, 2) == 0;
    int shift = (int)model_below(random, 7) - 3;
    int whole = size + shift;               /* digits before the point */
    int exponent = model->exponent - shift; /* what then remains of the power of ten */
    if (size == 0) {
        whole = 1;
        exponent = (int)model_below(random, 9) - 4;
    }
    if (is_negative)
        jg_buf_append(out, "-", 1);
    if (size > 0 && model->exponent > -60 && model->exponent < 20 && model_below(random, 2)) {
        spell_with_point(model->digits, size + model->exponent, random, out);
        return;
    }
    bool has_point = whole != size || size == 0 || model_below(random, 2);
    if (has_point)
        spell_with_point(model->digits, whole, random, out);
    else
        jg_buf_text(out, model->digits);
    if (exponent == 0 && has_point && model_below(random, 2))
        return;
    const char *sign = exponent < 0 ? "-" : model_below(random, 2) ? "+" : "";
    jg_buf_format(out, "%s%s%s%d", model_below(random, 2) ? "e" : "E", sign, model_below(random, 3) ? "" : "00",
                  abs(exponent));
}

/* Choose, of the parts that are left, any whose name does not stand before among them. */
static size_t
choose_part(const struct model *model, const bool *is_spelled, struct model_random *random)
{
    for (;;) {
        size_t index = model_below(random, (uint32_t)model->count);
        bool is_free = !is_spelled[index];
        for (size_t i = 0; is_free && i < index; i++)
            is_free = is_spelled[i] || !text_equal(&model->names[i], &model->names[index]);
        if (is_free)
            return index;
    }
}

static void
spell_parts(const struct model *model, struct model_random *random, struct jg_buf *out)
{
    bool is_object = model->kind == MODEL_OBJECT;
    bool is_spelled[MODEL_PARTS] = {false};
    jg_buf_append(out, is_object ? "{" : "[", 1);
    spell_space(random, out);
    for (size_t i = 0; i < model->count; i++) {
        size_t index = is_object ? choose_part(model, is_spelled, random) : i;
        is_spelled[index] = true;
        if (i > 0) {
            jg_buf_append(out, ",", 1);
            spell_space(random, out);
        }
        if (is_object) {
            spell_text(&model->names[index], random, out);
            spell_space(random, out);
            jg_buf_append(out, ":", 1);
        }
        model_spell(model->parts[index], random, out);
    }
    jg_buf_append(out, is_object ? "}" : "]", 1);
}

void
model_spell(const struct model *model, struct model_random *random, struct jg_buf *out)
{
    spell_space(random, out);
    switch (model->kind) {
    case MODEL_NULL:
        jg_buf_text(out, "null");
        break;
    case MODEL_FALSE:
        jg_buf_text(out, "false");
        break;
    case MODEL_TRUE:
        jg_buf_text(out, "true");
        break;
    case MODEL_INTEGER:
        if (model->is_negative || (!model->digits[0] && model_below(random, 2)))
            jg_buf_append(out, "-", 1);
        jg_buf_text(out, model->digits[0] ? model->digits : "0");
        break;
    case MODEL_FLOAT:
        spell_float(model, random, out);
        break;
    case MODEL_STRING:
        spell_text(&model->text, random, out);
        break;
    default:
        spell_parts(model, random, out);
        break;
    }
    spell_space(random, out);
}
