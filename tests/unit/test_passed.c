/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets resumed ahead, as they stand in a commit's metadata: random sets against a plain array of flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/kafka/passed.h"

#define TOPIC "jobs.held.Mail"
#define SPAN 20000

static unsigned seed = 1;

static unsigned
chance(unsigned below)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % below;
}

static void
check_same(const struct jg_passed *passed, const bool *flags, int64_t base)
{
    int64_t total = 0;
    for (int i = 0; i < SPAN; i++) {
        assert_int_equal(jg_passed_has(passed, base + i), flags[i]);
        total += flags[i];
    }
    assert_int_equal(passed->total, total);
}

static void
check_text(const struct jg_passed *passed, int64_t next)
{
    char text[JG_PASSED_TEXT_MAX + 1], again[JG_PASSED_TEXT_MAX + 1];
    struct jg_passed read;
    bool fits = jg_passed_bytes(passed, next) <= JG_PASSED_BYTES_MAX;
    assert_int_equal(jg_passed_text(passed, TOPIC, 3, next, text), fits);
    if (!fits)
        return;
    assert_true(strlen(text) <= JG_PASSED_TEXT_MAX);
    assert_int_equal(jg_passed_parse(text, strlen(text), TOPIC, 3, next, &read), JG_OK);
    assert_int_equal(read.count, passed->count);
    assert_int_equal(read.total, passed->total);
    if (read.count)
        assert_memory_equal(read.runs, passed->runs, read.count * sizeof *read.runs);
    assert_true(jg_passed_text(&read, TOPIC, 3, next, again));
    assert_string_equal(text, again);
    jg_passed_clear(&read);
}

static void
a_random_set_comes_back_as_it_was(void **state)
{
    static bool flags[SPAN];
    (void)state;
    for (int round = 0; round < 200; round++) {
        int64_t base = round % 3 == 0 ? 0 : (int64_t)chance(1u << 20) << chance(20);
        struct jg_passed passed = {.runs = NULL};
        unsigned adds = 1 + chance(3000), spread = 1 + chance(SPAN - 1), run = 1 + chance(4);
        memset(flags, 0, sizeof flags);
        for (unsigned i = 0; i < adds; i++) {
            unsigned at = 1 + chance(spread);
            for (unsigned j = 0; j < run && at + j < SPAN; j++) {
                assert_true(jg_passed_add(&passed, base + at + j));
                flags[at + j] = true;
            }
        }
        check_same(&passed, flags, base);
        check_text(&passed, base);
        jg_passed_clear(&passed);
    }
}

static void
what_the_committed_offset_has_passed_is_forgotten(void **state)
{
    struct jg_passed passed = {.runs = NULL};
    int64_t next = 10;
    (void)state;
    for (int offset = 12; offset < 20; offset += offset == 14 ? 2 : 1)
        assert_true(jg_passed_add(&passed, offset)); /* 12 to 14, and 16 to 19 */
    jg_passed_trim(&passed, &next);
    assert_int_equal(next, 10);
    assert_int_equal(passed.total, 7);
    next = 12;
    jg_passed_trim(&passed, &next);
    assert_int_equal(next, 15);
    assert_int_equal(passed.total, 4);
    next = 25;
    jg_passed_trim(&passed, &next);
    assert_int_equal(next, 25);
    assert_int_equal(passed.total, 0);
    assert_int_equal(passed.count, 0);
    jg_passed_clear(&passed);
}

/* However many of those that were counted on join the set, in whatever order. */
static void
what_was_thought_to_fit_does(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct jg_passed passed = {.runs = NULL};
        int64_t next = (int64_t)chance(1u << 30);
        unsigned spread = 10 + chance(round % 2 ? 3000 : 1000000);
        for (unsigned i = chance(1700); i-- > 0 && jg_passed_bytes(&passed, next) <= JG_PASSED_BYTES_MAX - 8;)
            assert_true(jg_passed_add(&passed, next + 1 + chance(spread)));
        size_t room = JG_PASSED_BYTES_MAX - jg_passed_bytes(&passed, next);
        struct jg_passed joined;
        assert_true(jg_passed_copy(&passed, &joined));
        for (int i = 0; i < 500; i++) {
            int64_t offset = next + 1 + chance(spread);
            size_t cost = jg_passed_cost(&passed, next, offset);
            if (jg_passed_has(&joined, offset) || cost > room)
                continue;
            room -= cost;
            if (chance(3))
                assert_true(jg_passed_add(&joined, offset));
        }
        assert_true(jg_passed_bytes(&joined, next) <= JG_PASSED_BYTES_MAX);
        check_text(&joined, next);
        jg_passed_clear(&joined);
        jg_passed_clear(&passed);
    }
}

static enum jg_err
parse(const char *text, int partition, int64_t next)
{
    struct jg_passed passed;
    enum jg_err err = jg_passed_parse(text, strlen(text), TOPIC, partition, next, &passed);
    if (err) {
        assert_null(passed.runs);
        assert_int_equal(passed.count, 0);
    }
    jg_passed_clear(&passed);
    return err;
}

static void
it_counts_only_beside_the_offset_that_it_was_committed_with(void **state)
{
    char text[JG_PASSED_TEXT_MAX + 1];
    struct jg_passed passed = {.runs = NULL};
    (void)state;
    assert_true(jg_passed_add(&passed, 7));
    assert_true(jg_passed_text(&passed, TOPIC, 0, 5, text));
    assert_int_equal(parse(text, 0, 5), JG_OK);
    assert_int_equal(parse(text, 0, 4), JG_EINVAL);
    assert_int_equal(parse(text, 1, 5), JG_EINVAL);
    assert_int_equal(parse(text, 0, -1), JG_EINVAL);
    struct jg_passed other;
    assert_int_equal(jg_passed_parse(text, strlen(text), "jobs.held.Other", 0, 5, &other), JG_EINVAL);
    jg_passed_clear(&passed);
}

static void
metadata_of_others_says_nothing(void **state)
{
    char text[JG_PASSED_TEXT_MAX + 3];
    struct jg_passed passed = {.runs = NULL};
    (void)state;
    const char *const foreign[] = {
        "a", "AAAA", "committed by hand", "AQAAAAAB", "====", "AQ==", "\xff", "-1", "{\"version\":1}", "AQAAAAA"};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_int_equal(parse(foreign[i], 0, 5), JG_EINVAL);
    assert_int_equal(parse("", 0, 5), JG_OK);
    for (int offset = 7; offset < 400; offset += 3)
        assert_true(jg_passed_add(&passed, offset));
    assert_true(jg_passed_text(&passed, TOPIC, 0, 5, text));
    size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes; i++) { /* any one character another one, and any cut */
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        assert_int_equal(parse(text, 0, 5), JG_EINVAL);
        text[i] = '\0';
        assert_int_equal(parse(text, 0, 5), i ? JG_EINVAL : JG_OK);
        text[i] = kept;
    }
    memset(text, 'A', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(parse(text, 0, 5), JG_EINVAL);
    jg_passed_clear(&passed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_random_set_comes_back_as_it_was),
        cmocka_unit_test(what_the_committed_offset_has_passed_is_forgotten),
        cmocka_unit_test(what_was_thought_to_fit_does),
        cmocka_unit_test(it_counts_only_beside_the_offset_that_it_was_committed_with),
        cmocka_unit_test(metadata_of_others_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
