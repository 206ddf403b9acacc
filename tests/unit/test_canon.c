/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical text, case by case: each JSON text on the left must become exactly the text on the right. These are part of
 * the job key: a version that changes one would not recognise the claims of the version before. */
#include "identify_support.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin/canon.h"

struct known {
    const char *json;
    const char *canonical;
};

static void
check_known(const struct known *known, size_t count)
{
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, "topic", "payload", NULL);
    struct jg_identity identity;
    jg_identity_init(&identity);
    for (size_t i = 0; i < count; i++) {
        if (identify_text(&spec, known[i].json, &identity) != JG_IDENTIFIED)
            fail_msg("%s: %s", known[i].json, identity.reason.text);
        assert_string_equal(identity.args.data, known[i].canonical);
    }
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

#define CHECK_KNOWN(known) check_known(known, sizeof(known) / sizeof((known)[0]))

static void
structure_is_compact_and_members_are_sorted(void **state)
{
    (void)state;
    static const struct known known[] = {
        {" [ ] ", "[]"},
        {"{\n}\t", "{}"},
        {"[1, [2, {\"b\": null, \"a\": [true, false]}]]", "[1,[2,{\"a\":[true,false],\"b\":null}]]"},
        {"{\"b\":1,\"a\":2,\"c\":3}", "{\"a\":2,\"b\":1,\"c\":3}"},
        {"{\"ab\":1,\"a\":2,\"\":3}", "{\"\":3,\"a\":2,\"ab\":1}"},
        {"{\"a!\":1,\"a\":2}", "{\"a\":2,\"a!\":1}"},
        {"{\"\xc3\xa9\":1,\"z\":2,\"\xf0\x9f\x98\x80\":3,\"\xef\xbf\xbd\":4}",
         "{\"z\":2,\"\xc3\xa9\":1,\"\xef\xbf\xbd\":4,\"\xf0\x9f\x98\x80\":3}"},
        {"{\"b\":{\"d\":1,\"c\":2},\"a\":{\"f\":3,\"e\":4}}", "{\"a\":{\"e\":4,\"f\":3},\"b\":{\"c\":2,\"d\":1}}"},
        {"true", "true"},
        {" null ", "null"},
        {"\"x\"", "\"x\""},
        {"17", "17"},
    };
    CHECK_KNOWN(known);
}

static void
equal_names_are_all_kept_in_their_order(void **state)
{
    (void)state;
    static const struct known known[] = {
        {"{\"b\":0,\"a\":2,\"a\":1}", "{\"a\":2,\"a\":1,\"b\":0}"},
        {"{\"a\":2,\"b\":0,\"\\u0061\":1}", "{\"a\":2,\"a\":1,\"b\":0}"},
    };
    CHECK_KNOWN(known);
}

static void
strings_have_one_spelling(void **state)
{
    (void)state;
    static const struct known known[] = {
        {"\"\\u0041\\u00e9\\u20AC\\uD83D\\ude00\"", "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\"\\/\\\"\\\\\"", "\"/\\\"\\\\\""},
        {"\"\\b\\f\\n\\r\\t\\u0008\\u000c\\u000A\\u000d\\u0009\"", "\"\\b\\f\\n\\r\\t\\b\\f\\n\\r\\t\""},
        {"\"\\u0000\\u001f\\u007f\\u0080\\u009F\\u00a0\"", "\"\\u0000\\u001f\\u007f\\u0080\\u009f\xc2\xa0\""},
        {"\"\x7f\xc2\x9b\"", "\"\\u007f\\u009b\""},
        {"\"a\\\\u0041\"", "\"a\\\\u0041\""},
        {"\"\\\\ud800\"", "\"\\\\ud800\""},
        {"\"\"", "\"\""},
        {"\"\\ud7ff\\ue000\\uffff\"", "\"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""},
    };
    CHECK_KNOWN(known);
}

static void
whole_numbers_are_exact_and_no_floats(void **state)
{
    (void)state;
    static const struct known known[] = {
        {"0", "0"},
        {"-0", "0"},
        {"-1", "-1"},
        {"100", "100"},
        {"9007199254740993", "9007199254740993"},
        {"18446744073709551616", "18446744073709551616"},
        {"-123456789012345678901234567890", "-123456789012345678901234567890"},
        {"1.0", "1.0"},
        {"1e0", "1.0"},
        {"1", "1"},
        {"\"1\"", "\"1\""},
        {"[1,1.0,\"1\"]", "[1,1.0,\"1\"]"},
    };
    CHECK_KNOWN(known);
}

static void
equal_decimals_have_one_spelling(void **state)
{
    (void)state;
    static const struct known known[] = {
        {"1.00", "1.0"},
        {"10e-1", "1.0"},
        {"0.1E+1", "1.0"},
        {"-0.0", "0.0"},
        {"0e99", "0.0"},
        {"0.000", "0.0"},
        {"-1.50", "-1.5"},
        {"0.00015e1", "0.0015"},
        {"100.0", "100.0"},
        {"1e2", "100.0"},
        {"1e15", "1000000000000000.0"},
        {"9999999999999999.5", "9999999999999999.5"},
        {"1e16", "1.0e16"},
        {"12345678901234567.5", "1.23456789012345675e16"},
        {"0.0001", "0.0001"},
        {"0.00001", "1.0e-5"},
        {"123e-7", "1.23e-5"},
        {"1e400", "1.0e400"},
        {"10E+399", "1.0e400"},
        {"1E-400", "1.0e-400"},
        {"0.1234567890123456789012345678901", "0.1234567890123456789012345678901"},
        {"1e000000000000000000007", "10000000.0"},
        {"10e999999999999999", "1.0e1000000000000000"},
        {"0e9999999999999999999999", "0.0"},
        {"-2.50E9999999999999999999999", "-2.50E9999999999999999999999"},
    };
    CHECK_KNOWN(known);
}

static void
print_float(double value, bool is_single, struct jg_buf *out)
{
    struct jg_canon canon;
    struct jg_buf scratch = JG_BUF_INIT;
    jg_buf_reset(out);
    jg_canon_init(&canon, out, &scratch);
    jg_canon_float(&canon, value, is_single);
    assert_true(jg_canon_ok(&canon));
    jg_canon_clear(&canon);
    jg_buf_clear(&scratch);
}

static void
binary_floats_print_as_the_shortest_decimal(void **state)
{
    (void)state;
    static const struct {
        double value;
        bool is_single;
        const char *text;
    } known[] = {
        {0.1, false, "0.1"},
        {(double)0.1f, true, "0.1"},
        {(double)0.1f, false, "0.10000000149011612"},
        {1.0, false, "1.0"},
        {-0.0, false, "0.0"},
        {1.0 / 3, false, "0.3333333333333333"},
        {0.1 + 0.2, false, "0.30000000000000004"},
        {1e22, false, "1.0e22"},
        {5e-324, false, "5.0e-324"},
        {1.7976931348623157e308, false, "1.7976931348623157e308"},
        {16777216.0, true, "16777216.0"},
        {(double)1e-45f, true, "1.0e-45"},
        {(double)INFINITY, false, "inf"},
        {-(double)INFINITY, true, "-inf"},
        {(double)NAN, false, "nan"},
    };
    struct jg_buf out = JG_BUF_INIT;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        print_float(known[i].value, known[i].is_single, &out);
        assert_string_equal(out.data, known[i].text);
    }
    jg_buf_clear(&out);
}

static void
the_hosts_locale_does_not_change_a_float(void **state)
{
    (void)state;
    assert_int_equal(setenv("LOCPATH", JG_FIXTURES "/locale", 1), 0);
    assert_non_null(setlocale(LC_NUMERIC, "comma"));
    char sample[8];
    snprintf(sample, sizeof(sample), "%.1f", 0.5);
    assert_string_equal(sample, "0,5");
    struct jg_buf out = JG_BUF_INIT;
    print_float(1234.5, false, &out);
    setlocale(LC_NUMERIC, "C");
    assert_string_equal(out.data, "1234.5");
    jg_buf_clear(&out);
}

static void
utf8_is_checked_strictly(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain ascii of more than eight bytes",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "12345678\xc3\xa9zzzzzzzz"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xc3",
                                      "\xe2\x82",
                                      "\xf0\x9f\x98",
                                      "\xc3(",
                                      "\xe2\x82(",
                                      "\xf0\x9f\x98(",
                                      "12345678\xc3zzzzzzzz"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(jg_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(jg_utf8_valid(bad[i], strlen(bad[i])));
}

static struct jg_span
span(const char *text)
{
    return (struct jg_span){.text = text, .size_bytes = strlen(text)};
}

static void
assert_span(struct jg_span found, const char *expected)
{
    if (!expected) {
        assert_null(found.text);
        return;
    }
    assert_non_null(found.text);
    assert_int_equal(found.size_bytes, strlen(expected));
    assert_memory_equal(found.text, expected, found.size_bytes);
}

static void
members_and_items_are_found_in_canonical_text(void **state)
{
    (void)state;
    struct jg_span object = span("{\"a\":[1,{\"b\":\"]}\"}],\"a\":2,\"b\\\"\":{},\"c\":\"x,y\",\"d\":null}");
    assert_span(jg_span_member(object, "a", 1), "2");
    assert_span(jg_span_member(object, "b\\\"", 3), "{}");
    assert_span(jg_span_member(object, "b", 1), NULL);
    assert_span(jg_span_member(object, "c", 1), "\"x,y\"");
    assert_span(jg_span_member(object, "d", 1), "null");
    assert_span(jg_span_member(object, "", 0), NULL);
    assert_span(jg_span_item(object, 0), NULL);
    struct jg_span array = span("[\"[\\\\\",[[],[1,2]],{\"k\":[3]},-1.5]");
    assert_span(jg_span_item(array, 0), "\"[\\\\\"");
    assert_span(jg_span_item(array, 1), "[[],[1,2]]");
    assert_span(jg_span_item(array, 2), "{\"k\":[3]}");
    assert_span(jg_span_item(array, 3), "-1.5");
    assert_span(jg_span_item(array, 4), NULL);
    assert_span(jg_span_item(span("[]"), 0), NULL);
    assert_span(jg_span_member(array, "k", 1), NULL);
    assert_span(jg_span_member(span("{}"), "k", 1), NULL);
    assert_span(jg_span_member(span("\"{\""), "k", 1), NULL);
    assert_span(jg_span_member((struct jg_span){.text = NULL, .size_bytes = 0}, "k", 1), NULL);
}

static void
an_object_of_many_members_is_sorted(void **state)
{
    (void)state;
    struct jg_buf json = JG_BUF_INIT;
    struct jg_buf expected = JG_BUF_INIT;
    jg_buf_text(&json, "{");
    jg_buf_text(&expected, "{");
    for (int i = 0; i < 1000; i++) {
        jg_buf_format(&json, "%s\"k%03d\": {\"b\": %d, \"a\": 0}", i ? ", " : "", 999 - i, 999 - i);
        jg_buf_format(&expected, "%s\"k%03d\":{\"a\":0,\"b\":%d}", i ? "," : "", i, i);
    }
    jg_buf_text(&json, "}");
    jg_buf_text(&expected, "}");
    const struct known known[] = {{json.data, expected.data}};
    CHECK_KNOWN(known);
    jg_buf_clear(&json);
    jg_buf_clear(&expected);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structure_is_compact_and_members_are_sorted),
        cmocka_unit_test(equal_names_are_all_kept_in_their_order),
        cmocka_unit_test(strings_have_one_spelling),
        cmocka_unit_test(whole_numbers_are_exact_and_no_floats),
        cmocka_unit_test(equal_decimals_have_one_spelling),
        cmocka_unit_test(binary_floats_print_as_the_shortest_decimal),
        cmocka_unit_test(the_hosts_locale_does_not_change_a_float),
        cmocka_unit_test(utf8_is_checked_strictly),
        cmocka_unit_test(members_and_items_are_found_in_canonical_text),
        cmocka_unit_test(an_object_of_many_members_is_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
