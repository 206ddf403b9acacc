/* SPDX-License-Identifier: Apache-2.0 */
/* Headers from outside: only a whole, well-formed stamp of this namespace and topic is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "plugin/stamp.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define JID KEY "-0123456789abcdef0123"
#define OTHER_JID KEY "-ffffffffffffffffffff"
#define FOREIGN_JID "ffffffffffffffffffffffffffffffff-0123456789abcdef0123"

static const char *const whole[][2] = {
    {"jobgate-v", "1"},         {"jobgate-origin", "ns/jobs"}, {"jobgate-jid", JID},
    {"jobgate-class", "Email"}, {"jobgate-key", KEY},          {"jobgate-dedup", "until_executing"},
};
#define WHOLE (sizeof whole / sizeof *whole)

static void
add(struct jg_stamp_reader *reader, const char *name, const char *value)
{
    jg_stamp_reader_add(reader, name, value, value ? strlen(value) : 0, "ns", "jobs");
}

/* The whole stamp, but `name` has `value` (NULL: is missing), then one header more. */
static enum jg_stamped
read_with(const char *name, const char *value, const char *more_name, const char *more_value, struct jg_stamp *out)
{
    struct jg_stamp_reader reader = {.any = false};
    add(&reader, "trace", "abc");
    for (size_t i = 0; i < WHOLE; i++) {
        bool changed = name && strcmp(whole[i][0], name) == 0;
        if (!changed || value)
            add(&reader, whole[i][0], changed ? value : whole[i][1]);
    }
    if (more_name)
        add(&reader, more_name, more_value);
    if (out)
        *out = reader.stamp;
    return jg_stamp_reader_end(&reader);
}

static void
a_whole_stamp_is_read(void **state)
{
    struct jg_stamp stamp;
    (void)state;
    assert_int_equal(read_with(NULL, NULL, "jobgate-candidate-of", OTHER_JID, &stamp), JG_STAMP_OURS);
    assert_string_equal(stamp.jid, JID);
    assert_string_equal(stamp.class_name, "Email");
    assert_int_equal(stamp.dedup, JG_DEDUP_UNTIL_EXECUTING);
    assert_string_equal(stamp.candidate_of, OTHER_JID);
    assert_string_equal(stamp.duplicate_of, "");
}

static void
a_message_without_our_headers_has_no_stamp(void **state)
{
    struct jg_stamp_reader reader = {.any = false};
    (void)state;
    add(&reader, "trace", "abc");
    add(&reader, "jobgate-release", "Email/x"); /* the application's own */
    assert_int_equal(jg_stamp_reader_end(&reader), JG_STAMP_NONE);
}

static void
a_stamp_that_lacks_a_header_is_foreign(void **state)
{
    (void)state;
    for (size_t i = 0; i < WHOLE; i++)
        assert_int_equal(read_with(whole[i][0], NULL, NULL, NULL, NULL), JG_STAMP_FOREIGN);
}

static void
a_stamp_with_a_bad_value_is_foreign(void **state)
{
    static const char *const bad[][2] = {
        {"jobgate-v", "2"},      {"jobgate-origin", "ns/other"}, {"jobgate-origin", "other/jobs"},
        {"jobgate-jid", "x"},    {"jobgate-jid", FOREIGN_JID},   {"jobgate-class", ""},
        {"jobgate-key", "0123"}, {"jobgate-dedup", "none"},      {"jobgate-dedup", "sometimes"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_with(bad[i][0], bad[i][1], NULL, NULL, NULL), JG_STAMP_FOREIGN);
}

static void
a_header_that_stands_twice_is_foreign(void **state)
{
    (void)state;
    for (size_t i = 0; i < WHOLE; i++)
        assert_int_equal(read_with(NULL, NULL, whole[i][0], whole[i][1], NULL), JG_STAMP_FOREIGN);
}

static void
a_duplicate_of_another_key_is_foreign(void **state)
{
    (void)state;
    assert_int_equal(read_with(NULL, NULL, "jobgate-duplicate-of", FOREIGN_JID, NULL), JG_STAMP_FOREIGN);
    assert_int_equal(read_with(NULL, NULL, "jobgate-candidate-of", FOREIGN_JID, NULL), JG_STAMP_FOREIGN);
    assert_int_equal(read_with(NULL, NULL, "jobgate-duplicate-of", OTHER_JID, NULL), JG_STAMP_OURS);
}

static void
headers_of_a_later_version_are_left_alone(void **state)
{
    (void)state;
    assert_int_equal(read_with(NULL, NULL, "jobgate-lease-token", "12", NULL), JG_STAMP_OURS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_stamp_is_read),
        cmocka_unit_test(a_message_without_our_headers_has_no_stamp),
        cmocka_unit_test(a_stamp_that_lacks_a_header_is_foreign),
        cmocka_unit_test(a_stamp_with_a_bad_value_is_foreign),
        cmocka_unit_test(a_header_that_stands_twice_is_foreign),
        cmocka_unit_test(a_duplicate_of_another_key_is_foreign),
        cmocka_unit_test(headers_of_a_later_version_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
