/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors: each form finds what it names, one that was set and finds nothing makes the message unidentified, and a
 * wrong one is refused with a reason. */
#include "identify_support.h"

#include <stdio.h>
#include <stdlib.h>

struct header {
    const char *name;
    const void *value;
    size_t value_bytes;
};

static const struct header headers[] = {{"type", "EmailWorker", 11},
                                        {"bin\xc3\xa9", "\xff\x00", 2},
                                        {"empty", "", 0},
                                        {"null", NULL, 0},
                                        {"digits", "17", 2},
                                        {NULL, NULL, 0}};

static bool
find_header(void *opaque, const char *name, const void **value, size_t *value_bytes)
{
    for (const struct header *header = opaque; header->name; header++) {
        if (strcmp(header->name, name) == 0) {
            *value = header->value;
            *value_bytes = header->value_bytes;
            return true;
        }
    }
    return false;
}

static const char payload[] = "{\"kind\":\"Mail\",\"a\":{\"b.c\":[10,{\"d\":\"x\"}],\"0\":\"zero\",\"n\":null},"
                              "\"x,y\":1,\"back\\\\slash\":2,\"new\\nline\":3,\"\xc3\xa9\":4,\"list\":[[1,2],[3]],"
                              "\"id\":18446744073709551616}";

static const struct jg_message message = {.topic = "mail.jobs",
                                          .key = "user-7",
                                          .key_bytes = 6,
                                          .payload = payload,
                                          .payload_bytes = sizeof(payload) - 1,
                                          .header = find_header,
                                          .opaque = (void *)(uintptr_t)headers};

/* The args that a selector finds, or NULL. */
static const char *
args_of(const char *text, struct jg_identity *identity)
{
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, "const:C", text, NULL);
    struct jg_error error;
    assert_int_equal(jg_topic_spec_check(&spec, &error), JG_OK);
    enum jg_identified identified = jg_identify(&spec, "test", &message, identity);
    spec_clear(&spec);
    return identified == JG_IDENTIFIED ? identity->args.data : NULL;
}

static void
each_form_finds_what_it_names(void **state)
{
    (void)state;
    static const char *const known[][2] = {
        {"field:kind", "\"Mail\""},
        {"field:a.b\\.c", "[10,{\"d\":\"x\"}]"},
        {"field:a.b\\.c.0", "10"},
        {"field:a.b\\.c.1.d", "\"x\""},
        {"field:a.0", "\"zero\""},
        {"field:a.n", "null"},
        {"field:x\\,y", "1"},
        {"field:back\\\\slash", "2"},
        {"field:new\nline", "3"},
        {"field:\xc3\xa9", "4"},
        {"field:list.1.0", "3"},
        {"field:id", "18446744073709551616"},
        {"field:kind,list.0,a.n", "[\"Mail\",[1,2],null]"},
        {"header:type", "\"EmailWorker\""},
        {"header:bin\xc3\xa9", "0xff00"},
        {"header:empty", "\"\""},
        {"header:null", "null"},
        {"header:digits", "\"17\""},
        {"key", "\"user-7\""},
        {"topic", "\"mail.jobs\""},
        {"const:a:b \"c\"", "\"a:b \\\"c\\\"\""},
    };
    struct jg_identity identity;
    jg_identity_init(&identity);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const char *args = args_of(known[i][0], &identity);
        if (!args)
            fail_msg("%s: %s", known[i][0], identity.reason.text);
        assert_string_equal(args, known[i][1]);
    }
    jg_identity_clear(&identity);
}

static void
a_set_selector_that_finds_nothing_makes_the_message_unidentified(void **state)
{
    (void)state;
    static const char *const missing[] = {"field:none",      "field:a.none",    "field:kind.0",
                                          "field:list.2",    "field:list.kind", "field:list.00",
                                          "field:kind,none", "header:none",     "field:list.999999999999999999999",
                                          "field:a.n.x"};
    struct jg_identity identity;
    jg_identity_init(&identity);
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        assert_null(args_of(missing[i], &identity));
        assert_non_null(strstr(identity.reason.text, "finds nothing"));
        assert_non_null(strstr(identity.reason.text, missing[i]));
        struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, "const:C", "const:1", missing[i]);
        assert_int_equal(jg_identify(&spec, "test", &message, &identity), JG_UNIDENTIFIED);
        spec_clear(&spec);
        spec = spec_of(JG_FORMAT_JSON, missing[i], NULL, NULL);
        assert_int_equal(jg_identify(&spec, "test", &message, &identity), JG_UNIDENTIFIED);
        spec_clear(&spec);
    }
    struct jg_message bare = {.topic = "t", .payload = "{}", .payload_bytes = 2};
    static const char *const need_more[] = {"key", "header:type"};
    for (size_t i = 0; i < 2; i++) {
        struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, need_more[i], NULL);
        assert_int_equal(jg_identify(&spec, "test", &bare, &identity), JG_UNIDENTIFIED);
        spec_clear(&spec);
    }
    jg_identity_clear(&identity);
}

static void
a_payload_that_nothing_reads_need_not_be_json(void **state)
{
    (void)state;
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, "header:type", "key", NULL);
    struct jg_message opaque = message;
    struct jg_identity identity;
    jg_identity_init(&identity);
    opaque.payload = "not json";
    opaque.payload_bytes = 8;
    assert_int_equal(jg_identify(&spec, "test", &opaque, &identity), JG_IDENTIFIED);
    assert_string_equal(identity.class_name, "EmailWorker");
    assert_string_equal(identity.args.data, "\"user-7\"");
    spec_clear(&spec);
    spec = spec_of(JG_FORMAT_JSON, "header:type", NULL, NULL);
    assert_int_equal(jg_identify(&spec, "test", &opaque, &identity), JG_UNIDENTIFIED);
    spec_clear(&spec);
    jg_identity_clear(&identity);
}

static void
bytes_that_are_no_text_are_args_but_no_class(void **state)
{
    (void)state;
    struct jg_identity identity;
    jg_identity_init(&identity);
    assert_string_equal(args_of("header:bin\xc3\xa9", &identity), "0xff00");
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, "header:bin\xc3\xa9", NULL, NULL);
    assert_int_equal(jg_identify(&spec, "test", &message, &identity), JG_UNIDENTIFIED);
    assert_non_null(strstr(identity.reason.text, "not text"));
    spec_clear(&spec);
    jg_identity_clear(&identity);
}

static void
raw_payloads_are_text_or_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        size_t size_bytes;
        const char *args;
    } known[] = {
        {"resize 17", 9, "\"resize 17\""},
        {"", 0, "\"\""},
        {"\0", 1, "\"\\u0000\""},
        {"0xff", 4, "\"0xff\""},
        {"\xff", 1, "0xff"},
        {"\x80\x00", 2, "0x8000"},
        {"[1]", 3, "\"[1]\""},
        {"\"x\"", 3, "\"\\\"x\\\"\""},
    };
    struct jg_identity identity;
    jg_identity_init(&identity);
    for (size_t i = 0; i < 2 * sizeof(known) / sizeof(known[0]); i++) {
        struct jg_topic_spec spec = spec_of(JG_FORMAT_RAW, NULL, i % 2 ? "payload" : NULL, NULL);
        assert_int_equal(identify(&spec, known[i / 2].payload, known[i / 2].size_bytes, &identity), JG_IDENTIFIED);
        assert_string_equal(identity.class_name, "jobs");
        assert_string_equal(identity.args.data, known[i / 2].args);
        spec_clear(&spec);
    }
    struct jg_topic_spec spec = spec_of(JG_FORMAT_RAW, "payload", "key", "key");
    struct jg_message keyed = {.topic = "t", .key = "k\xff", .key_bytes = 2, .payload = "Resize", .payload_bytes = 6};
    assert_int_equal(jg_identify(&spec, "test", &keyed, &identity), JG_UNIDENTIFIED); /* such a key is no id */
    keyed.key_bytes = 1;
    assert_int_equal(jg_identify(&spec, "test", &keyed, &identity), JG_IDENTIFIED);
    assert_string_equal(identity.class_name, "Resize");
    assert_string_equal(identity.args.data, "\"k\"");
    assert_string_equal(identity.id.data, "k");
    spec_clear(&spec);
    jg_identity_clear(&identity);
}

static void
an_id_is_text_or_a_number(void **state)
{
    (void)state;
    static const char *const known[][2] = {{"field:id", "18446744073709551616"},
                                           {"field:kind", "Mail"},
                                           {"field:a.n", NULL},
                                           {"field:list", NULL},
                                           {"header:empty", NULL},
                                           {"header:digits", "17"}};
    struct jg_identity identity;
    jg_identity_init(&identity);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, known[i][0]);
        enum jg_identified identified = jg_identify(&spec, "test", &message, &identity);
        assert_int_equal(identified, known[i][1] ? JG_IDENTIFIED : JG_UNIDENTIFIED);
        if (known[i][1])
            assert_string_equal(identity.id.data, known[i][1]);
        spec_clear(&spec);
    }
    jg_identity_clear(&identity);
}

static void
a_wrong_selector_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"", "not one of"},           {"class", "field:NAME"},    {"fields:a", "not one of"},
        {"Key", "not one of"},        {"key:x", "nothing may"},   {"topic:", "nothing may"},
        {"payload:a", "nothing may"}, {"header", "something"},    {"header:", "something"},
        {"field:", "something"},      {"const:", "something"},    {"field:a..b", "empty name"},
        {"field:.a", "empty name"},   {"field:a.", "empty name"}, {"field:a,", "empty name"},
        {"field:,a", "empty name"},   {"field:a\\", "backslash"}, {"field:a\\nb", "backslash"},
        {"field:\xff", "UTF-8"},      {"const:\xc3", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct jg_selector *parsed = NULL;
        struct jg_error error = {.text = ""};
        assert_int_equal(jg_selector_parse(wrong[i][0], &parsed, &error), JG_EINVAL);
        assert_null(parsed);
        if (!strstr(error.text, wrong[i][1]))
            fail_msg("'%s' is not in '%s'", wrong[i][1], error.text);
    }
}

static void
a_spec_that_cannot_work_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        enum jg_format format;
        const char *class_selector;
        const char *args_selector;
        const char *id_selector;
        const char *reason; /* NULL: it can work */
    } specs[] = {
        {JG_FORMAT_JSON, NULL, NULL, NULL, NULL},
        {JG_FORMAT_JSON, "field:a", "field:a,b", "field:c", NULL},
        {JG_FORMAT_JSON, "field:a,b", NULL, NULL, "class"},
        {JG_FORMAT_JSON, NULL, NULL, "field:a,b", "id"},
        {JG_FORMAT_RAW, "header:t", "payload", "key", NULL},
        {JG_FORMAT_RAW, "field:a", NULL, NULL, "no fields"},
        {JG_FORMAT_RAW, NULL, "field:a", NULL, "no fields"},
        {JG_FORMAT_AVRO, NULL, NULL, NULL, "schema"},
    };
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        struct jg_topic_spec spec =
            spec_of(specs[i].format, specs[i].class_selector, specs[i].args_selector, specs[i].id_selector);
        struct jg_error error = {.text = ""};
        enum jg_err err = jg_topic_spec_check(&spec, &error);
        assert_int_equal(err, specs[i].reason ? JG_EINVAL : JG_OK);
        if (specs[i].reason)
            assert_non_null(strstr(error.text, specs[i].reason));
        spec_clear(&spec);
    }
}

/* The key of the limit of a job of class `class_name` with that payload, by that selector. */
static const char *
limit_key_by(const char *text, const char *class_name, const char *json, bool *found)
{
    static char keys[16][JG_KEY_CHARS + 1];
    static unsigned turn;
    char *key = keys[turn++ % 16];
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_selector *parsed = selector(text);
    struct jg_message its = message;
    struct jg_identity identity;
    its.payload = json;
    its.payload_bytes = json ? strlen(json) : 0;
    jg_identity_init(&identity);
    *found = jg_identify_limit_key(&spec, "test", class_name, parsed, &its, &identity, key);
    assert_true(*found == !identity.reason.text[0]);
    jg_identity_clear(&identity);
    jg_selector_destroy(parsed);
    spec_clear(&spec);
    return key;
}

static void
a_limits_key_is_that_of_the_canonical_value_within_its_class(void **state)
{
    bool found;
    (void)state;
    const char *one = limit_key_by("field:a", "C", "{\"a\": {\"x\": 1, \"y\": \"z\"}, \"b\": 1}", &found);
    assert_true(found);
    assert_int_equal(strlen(one), JG_KEY_CHARS);
    assert_string_equal(limit_key_by("field:a", "C", "{\"b\":2,\"a\":{\"y\":\"z\",\"x\":1}}", &found), one);
    assert_string_not_equal(limit_key_by("field:a", "D", "{\"a\":{\"x\":1,\"y\":\"z\"}}", &found), one);
    assert_string_not_equal(limit_key_by("field:a", "C", "{\"a\":\"1\"}", &found),
                            limit_key_by("field:a", "C", "{\"a\":1}", &found));
    assert_string_equal(limit_key_by("header:type", "C", "no json", &found),
                        limit_key_by("header:type", "C", "x", &found));
    assert_true(found);
    (void)limit_key_by("key", "C", "x", &found);
    assert_true(found);
}

static void
jobs_in_which_a_limits_key_is_not_found_share_one(void **state)
{
    bool found;
    (void)state;
    const char *none = limit_key_by("field:a", "C", "{\"b\":1}", &found);
    assert_false(found);
    assert_string_equal(limit_key_by("field:a", "C", "not json at all", &found), none);
    assert_false(found);
    assert_string_equal(limit_key_by("header:absent", "C", "{}", &found), none);
    assert_string_equal(limit_key_by("field:a", "C", NULL, &found), none);
    assert_false(found);
    const char *const values[] = {"{\"a\":null}", "{\"a\":\"\"}", "{\"a\":[]}", "{\"a\":{}}", "{\"a\":0}"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_string_not_equal(limit_key_by("field:a", "C", values[i], &found), none);
        assert_true(found);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_finds_what_it_names),
        cmocka_unit_test(a_set_selector_that_finds_nothing_makes_the_message_unidentified),
        cmocka_unit_test(a_payload_that_nothing_reads_need_not_be_json),
        cmocka_unit_test(bytes_that_are_no_text_are_args_but_no_class),
        cmocka_unit_test(raw_payloads_are_text_or_bytes),
        cmocka_unit_test(an_id_is_text_or_a_number),
        cmocka_unit_test(a_wrong_selector_is_refused_with_a_reason),
        cmocka_unit_test(a_limits_key_is_that_of_the_canonical_value_within_its_class),
        cmocka_unit_test(jobs_in_which_a_limits_key_is_not_found_share_one),
        cmocka_unit_test(a_spec_that_cannot_work_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
