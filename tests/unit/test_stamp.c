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
        {"jobgate-key", "0123"}, {"jobgate-dedup", "sometimes"},
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

/* A whole stamp and what tells of being held, but `name` has `value` (NULL: is missing), also where it is none of
 * these. */
static enum jg_stamped
read_held(const char *name, const char *value, struct jg_stamp *out)
{
    static const char *const held[][2] = {
        {"jobgate-held-since", "1700000000000"}, {"jobgate-held-reason", "behind"}, {"jobgate-held-from", "3/45"},
        {"jobgate-held-time", "1690000000000"},  {"jobgate-resumed", "2"},
    };
    struct jg_stamp_reader reader = {.any = false};
    bool found = !name;
    for (size_t i = 0; i < WHOLE; i++)
        add(&reader, whole[i][0], whole[i][1]);
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        bool changed = name && strcmp(held[i][0], name) == 0;
        found = found || changed;
        if (!changed || value)
            add(&reader, held[i][0], changed ? value : held[i][1]);
    }
    if (!found)
        add(&reader, name, value);
    if (out)
        *out = reader.stamp;
    return jg_stamp_reader_end(&reader);
}

static void
where_since_when_and_why_a_job_was_held_is_read(void **state)
{
    struct jg_stamp stamp;
    (void)state;
    assert_int_equal(read_held(NULL, NULL, &stamp), JG_STAMP_OURS);
    assert_int_equal(stamp.held_since_ms, INT64_C(1700000000000));
    assert_int_equal(stamp.held_reason, JG_REASON_BEHIND);
    assert_int_equal(stamp.held_partition, 3);
    assert_int_equal(stamp.held_offset, 45);
    assert_int_equal(stamp.resumed, 2);
    assert_int_equal(read_held("jobgate-resumed", NULL, &stamp), JG_STAMP_OURS);
    assert_int_equal(stamp.resumed, 0);
    assert_int_equal(read_with("jobgate-dedup", "none", NULL, NULL, NULL), JG_STAMP_OURS); /* held without a claim */
    assert_int_equal(read_held("jobgate-not-before", "1700000000500", &stamp), JG_STAMP_OURS);
    assert_int_equal(stamp.not_before_ms, INT64_C(1700000000500));
    assert_int_equal(read_held("jobgate-attempt", "3", &stamp), JG_STAMP_OURS);
    assert_int_equal(stamp.attempt, 3);
    assert_int_equal(read_held("jobgate-limit-key", KEY, &stamp), JG_STAMP_OURS);
    assert_string_equal(stamp.limit_key, KEY);
    assert_int_equal(read_held("jobgate-held-reason", "key", &stamp), JG_STAMP_OURS);
    assert_int_equal(stamp.held_reason, JG_REASON_KEY);
    assert_string_equal(stamp.limit_key, "");
    assert_int_equal(read_held("jobgate-held-reason", "follow-up", &stamp), JG_STAMP_OURS);
    assert_int_equal(stamp.held_reason, JG_REASON_FOLLOW_UP);
    assert_int_equal(stamp.follow_up, 0);
    /* A follow-up is a candidate, and has a number. */
    assert_int_equal(read_held("jobgate-follow-up", "17", NULL), JG_STAMP_FOREIGN);
    assert_int_equal(read_held("jobgate-not-before", "soon", &stamp), JG_STAMP_FOREIGN);
    assert_int_equal(read_with(NULL, NULL, "jobgate-not-before", "1700000000500", NULL), JG_STAMP_FOREIGN);
}

static void
a_job_that_says_half_of_being_held_is_foreign(void **state)
{
    static const char *const names[] = {"jobgate-held-since", "jobgate-held-reason", "jobgate-held-from",
                                        "jobgate-held-time"};
    static const char *const bad[][2] = {
        {"jobgate-held-since", "0"},
        {"jobgate-held-since", "-1"},
        {"jobgate-held-since", "99999999999999999999"},
        {"jobgate-held-from", "3"},
        {"jobgate-held-from", "4294967296/1"},
        {"jobgate-held-from", "/"},
        {"jobgate-held-from", "3/-1"},
        {"jobgate-held-reason", "so"},
        {"jobgate-resumed", "0"},
        {"jobgate-resumed", ""},
        {"jobgate-held-time", "yesterday"},
        {"jobgate-limit-key", ""},
        {"jobgate-limit-key", KEY "0"},
        {"jobgate-limit-key", "0123456789abcdef0123456789abcde "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(read_held(names[i], NULL, NULL), JG_STAMP_FOREIGN);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_held(bad[i][0], bad[i][1], NULL), JG_STAMP_FOREIGN);
    assert_int_equal(read_with(NULL, NULL, "jobgate-resumed", "1", NULL), JG_STAMP_FOREIGN);
}

static void
a_release_names_a_class_and_a_jid(void **state)
{
    static const char good[] = "Mail/" JID, slashes[] = "a/b//" JID "-12";
    char longest[JG_CLASS_MAX_BYTES + 2 + sizeof JID], too_long[sizeof longest];
    struct jg_release release;
    (void)state;
    assert_true(jg_release_parse(good, sizeof good - 1, &release));
    assert_string_equal(release.class_name, "Mail");
    assert_string_equal(release.jid, JID);
    assert_false(release.told);
    assert_true(jg_release_parse(slashes, sizeof slashes - 1, &release));
    assert_string_equal(release.class_name, "a/b/");
    assert_string_equal(release.jid, JID "-12");
    int size = snprintf(longest, sizeof longest, "%0*d/%s", JG_CLASS_MAX_BYTES, 0, JID);
    assert_true(jg_release_parse(longest, (size_t)size, &release));
    size = snprintf(too_long, sizeof too_long, "%0*d/%s", JG_CLASS_MAX_BYTES + 1, 0, JID);
    assert_false(jg_release_parse(too_long, (size_t)size, &release));
    assert_false(jg_release_parse(NULL, 0, &release));
    assert_false(jg_release_parse(good, 0, &release));
    assert_false(jg_release_parse(good, sizeof good, &release));     /* with its NUL */
    assert_false(jg_release_parse(good, sizeof good - 2, &release)); /* cut */
    assert_false(jg_release_parse(good + 4, sizeof good - 5, &release));
    assert_false(jg_release_parse("M\0/" JID, sizeof "M\0/" JID - 1, &release));
    assert_false(jg_release_parse(JID, sizeof JID - 1, &release));
}

static void
releases_beside_a_stamp_are_noted_and_change_nothing_of_it(void **state)
{
    struct jg_stamp_reader reader = {.any = false};
    (void)state;
    for (size_t i = 0; i < JG_RELEASES_MOST + 2; i++)
        jg_stamp_reader_add(&reader, "jobgate-release", i ? "x" : NULL, i, "default", "jobs");
    assert_int_equal(jg_stamp_reader_end(&reader), JG_STAMP_NONE);
    assert_int_equal(reader.notes.release_count, JG_RELEASES_MOST + 2);
    assert_null(reader.notes.releases[0].value);
    assert_int_equal(reader.notes.releases[JG_RELEASES_MOST - 1].size_bytes, JG_RELEASES_MOST - 1);
    assert_false(reader.notes.given);
    jg_stamp_reader_add(&reader, "jobgate-slot", "x", 1, "default", "jobs");
    assert_true(reader.notes.given);
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
        cmocka_unit_test(where_since_when_and_why_a_job_was_held_is_read),
        cmocka_unit_test(a_job_that_says_half_of_being_held_is_foreign),
        cmocka_unit_test(a_release_names_a_class_and_a_jid),
        cmocka_unit_test(releases_beside_a_stamp_are_noted_and_change_nothing_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
