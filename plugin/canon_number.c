/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in canonical text: see the rules in canon.h. */
#include "plugin/canon.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer exponents are not computed with. Theirs and a mantissa's length fit an int64_t with room to spare. */
#define EXPONENT_MAX_DIGITS 15
/* Within these powers of ten of the first digit, a number is written without an exponent. */
#define PLAIN_MIN (-4)
#define PLAIN_MAX 15

static void
put_zeros(struct jg_buf *out, int64_t count)
{
    while (count-- > 0)
        jg_buf_append(out, "0", 1);
}

/* Write digits[0].digits[1..] times ten to the power of `exponent`. The first digit is not 0 and neither is the last.
 */
static void
put_decimal(struct jg_buf *out, const char *digits, size_t count, int64_t exponent)
{
    if (exponent < PLAIN_MIN || exponent > PLAIN_MAX) {
        jg_buf_append(out, digits, 1);
        jg_buf_append(out, ".", 1);
        jg_buf_append(out, count > 1 ? digits + 1 : "0", count > 1 ? count - 1 : 1);
        jg_buf_format(out, "e%lld", (long long)exponent);
        return;
    }
    if (exponent < 0) {
        jg_buf_append(out, "0.", 2);
        put_zeros(out, -exponent - 1);
        jg_buf_append(out, digits, count);
        return;
    }
    size_t whole = (size_t)exponent + 1;
    if (count <= whole) {
        jg_buf_append(out, digits, count);
        put_zeros(out, (int64_t)(whole - count));
        jg_buf_append(out, ".0", 2);
        return;
    }
    jg_buf_append(out, digits, whole);
    jg_buf_append(out, ".", 1);
    jg_buf_append(out, digits + whole, count - whole);
}

/* A float of these digits, of which the first stands for ten to the power of `exponent`. Any may be 0. */
static void
put_float(struct jg_canon *canon, bool is_negative, const char *digits, size_t count, int64_t exponent)
{
    while (count > 0 && *digits == '0') {
        digits++;
        count--;
        exponent--;
    }
    while (count > 0 && digits[count - 1] == '0')
        count--;
    if (count == 0) {
        jg_canon_word(canon, "0.0"); /* -0.0 too: it equals 0.0 */
        return;
    }
    jg_canon_word(canon, is_negative ? "-" : "");
    put_decimal(canon->out, digits, count, exponent);
}

/* Read `[+-]digits`. False: too long to compute with. */
static bool
read_exponent(const char *text, size_t size_bytes, int64_t *out)
{
    bool is_negative = size_bytes > 0 && *text == '-';
    int64_t value = 0;
    int digits = 0;
    for (size_t i = size_bytes > 0 && (*text == '-' || *text == '+') ? 1 : 0; i < size_bytes; i++) {
        value = value * 10 + (text[i] - '0');
        if (value > 0 && ++digits > EXPONENT_MAX_DIGITS)
            return false;
    }
    *out = is_negative ? -value : value;
    return true;
}

static size_t
digit_run(const char *text, size_t size_bytes, size_t from)
{
    size_t at = from;
    while (at < size_bytes && text[at] >= '0' && text[at] <= '9')
        at++;
    return at - from;
}

static bool
is_all_zeros(const char *digits, size_t count)
{
    return count == 0 || (*digits == '0' && memcmp(digits, digits + 1, count - 1) == 0);
}

void
jg_canon_number(struct jg_canon *canon, const char *text, size_t size_bytes)
{
    bool is_negative = size_bytes > 0 && *text == '-';
    size_t start = is_negative ? 1 : 0;
    size_t whole = digit_run(text, size_bytes, start);
    if (start + whole == size_bytes) {
        bool is_zero = is_all_zeros(text + start, whole);
        jg_canon_word(canon, is_zero ? "0" : "");
        if (!is_zero)
            jg_buf_append(canon->out, text, size_bytes);
        return;
    }
    struct jg_buf *digits = canon->scratch;
    jg_buf_reset(digits);
    jg_buf_append(digits, text + start, whole);
    size_t at = start + whole;
    if (text[at] == '.') {
        size_t fraction = digit_run(text, size_bytes, at + 1);
        jg_buf_append(digits, text + at + 1, fraction);
        at += 1 + fraction;
    }
    if (digits->failed) {
        canon->is_out_of_memory = true;
        return;
    }
    int64_t exponent = 0;
    bool is_computable = at == size_bytes || read_exponent(text + at + 1, size_bytes - at - 1, &exponent);
    if (is_computable || is_all_zeros(digits->data, digits->size_bytes)) {
        put_float(canon, is_negative, digits->data, digits->size_bytes, exponent + (int64_t)whole - 1);
        return;
    }
    jg_canon_word(canon, "");
    jg_buf_append(canon->out, text, size_bytes);
}

/* Print with the fewest digits, of those the type guarantees upward, that read back as the same value. Subnormal
 * numbers hold fewer digits than the type guarantees, so they start at one. */
static void
print_shortest(double value, bool is_single, char *text, size_t text_bytes)
{
    double smallest = is_single ? (double)FLT_MIN : DBL_MIN;
    int digits = fabs(value) < smallest ? 1 : is_single ? FLT_DIG : DBL_DIG;
    int most = is_single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
    for (; digits <= most; digits++) {
        snprintf(text, text_bytes, "%.*e", digits - 1, value);
        double back = is_single ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (!(back < value) && !(back > value))
            return;
    }
}

void
jg_canon_float(struct jg_canon *canon, double value, bool is_single)
{
    if (isnan(value)) {
        jg_canon_word(canon, "nan");
        return;
    }
    if (isinf(value)) {
        jg_canon_word(canon, value < 0 ? "-inf" : "inf");
        return;
    }
    char text[64];
    char digits[32];
    size_t count = 0;
    const char *at = text;
    print_shortest(value, is_single, text, sizeof(text));
    /* The host's locale chooses the decimal point: take the digits, whatever stands between them. */
    for (; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9' && count < sizeof(digits))
            digits[count++] = *at;
    put_float(canon, text[0] == '-', digits, count, *at == 'e' ? strtol(at + 1, NULL, 10) : 0);
}
