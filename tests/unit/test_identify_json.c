/* SPDX-License-Identifier: Apache-2.0 */
/* JSON jobs: what Sidekiq and ActiveJob send is understood by the defaults, or by the settings that docs/selectors.md
 * shows; what is no job says why. The fixtures have the shape of real payloads. */
#include "identify_support.h"

#include <stdio.h>
#include <stdlib.h>

/* A fixture's content. The caller frees it. */
static char *
load(const char *name)
{
    char path[1024];
    struct jg_buf text = JG_BUF_INIT;
    char chunk[4096];
    size_t got;
    snprintf(path, sizeof(path), "%s/%s", JG_FIXTURES, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        jg_buf_append(&text, chunk, got);
    fclose(file);
    return text.data;
}

static void
check_fixture(const struct jg_topic_spec *spec, const char *name, const char *class_name, const char *args,
              const char *id)
{
    struct jg_identity identity;
    char *payload = load(name);
    jg_identity_init(&identity);
    if (identify_text(spec, payload, &identity) != JG_IDENTIFIED)
        fail_msg("%s: %s", name, identity.reason.text);
    assert_string_equal(identity.class_name, class_name);
    assert_string_equal(identity.args.data, args);
    assert_string_equal(identity.id.data, id);
    jg_identity_clear(&identity);
    free(payload);
}

static void
sidekiq_jobs_are_identified_without_any_selector(void **state)
{
    (void)state;
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    const char *args = "[\"bob\",5,{\"after\":1.5,\"notify\":true}]";
    check_fixture(&spec, "sidekiq.json", "HardWorker", args, "b4a577edbccf1d805744efa9");
    check_fixture(&spec, "sidekiq8.json", "HardWorker", args, "0f1d2c3b4a5968778695a4b3");
    spec_clear(&spec);
}

/* Not so by the defaults: `args` holds an id that is new for every job. */
static void
active_jobs_are_identified_by_their_own_class_and_arguments(void **state)
{
    (void)state;
    const char *args = "[{\"_aj_globalid\":\"gid://shop/User/42\"},\"welcome\",{\"_aj_symbol_keys\":[\"locale\"],"
                       "\"locale\":\"en\"}]";
    static const char *const classes[] = {"field:wrapped", "field:args.0.job_class"};
    for (size_t i = 0; i < 2; i++) {
        struct jg_topic_spec spec =
            spec_of(JG_FORMAT_JSON, classes[i], "field:args.0.arguments", "field:args.0.job_id");
        check_fixture(&spec, "activejob.json", "EmailJob", args, "5e4d0d1c-6f0b-4d3a-9f7e-7a2b7b3c1d11");
        check_fixture(&spec, "activejob_wrapper.json", "EmailJob", args, "c9a1f8de-02b7-4c55-8f0e-1d2c3b4a5968");
        spec_clear(&spec);
    }
}

static void
equal_jobs_have_one_key_whatever_else_their_payloads_hold(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"sidekiq.json", "sidekiq8.json"},
                                           {"activejob.json", "activejob_wrapper.json"}};
    for (size_t i = 0; i < 2; i++) {
        struct jg_topic_spec spec = i == 0 ? spec_of(JG_FORMAT_JSON, NULL, NULL, NULL)
                                           : spec_of(JG_FORMAT_JSON, "field:wrapped", "field:args.0.arguments", NULL);
        char keys[2][JG_KEY_CHARS + 1];
        for (size_t j = 0; j < 2; j++) {
            struct jg_identity identity;
            char *payload = load(pairs[i][j]);
            jg_identity_init(&identity);
            assert_int_equal(identify_text(&spec, payload, &identity), JG_IDENTIFIED);
            memcpy(keys[j], identity.key, sizeof(keys[j]));
            jg_identity_clear(&identity);
            free(payload);
        }
        assert_string_equal(keys[0], keys[1]);
        spec_clear(&spec);
    }
}

static void
a_known_job_has_the_key_it_always_had(void **state)
{
    (void)state;
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_identity identity;
    jg_identity_init(&identity);
    assert_int_equal(
        identify_text(&spec, "{\"class\":\"EmailWorker\",\"args\":[ \"bob\", {\"b\":1.50,\"a\":null} ]}", &identity),
        JG_IDENTIFIED);
    assert_string_equal(identity.args.data, "[\"bob\",{\"a\":null,\"b\":1.5}]");
    assert_string_equal(identity.key, "128be289aeeaf8c84dd51fec75e5bcff");
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

struct expectation {
    const char *payload;
    const char *class_name;
    const char *args;
    const char *id;
};

static void
other_json_falls_back_to_topic_and_payload(void **state)
{
    (void)state;
    static const struct expectation expected[] = {
        {"{\"order\":7}", "jobs", "payload:{\"order\":7}", ""},
        {"[2,1]", "jobs", "payload:[2,1]", ""},
        {"\"x\"", "jobs", "payload:\"x\"", ""},
        {"{\"class\":\"A\"}", "A", "payload:{\"class\":\"A\"}", ""},
        {"{\"args\":[1]}", "jobs", "[1]", ""},
        {"{\"args\":null,\"jid\":7}", "jobs", "null", "7"},
        {"{\"args\":[],\"jid\":null}", "jobs", "[]", ""},
        {"{\"args\":[],\"jid\":\"a\\nb\"}", "jobs", "[]", "a\\nb"},
        {"{\"args\":[1],\"args\":[2]}", "jobs", "[2]", ""},
    };
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_identity identity;
    jg_identity_init(&identity);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(identify_text(&spec, expected[i].payload, &identity), JG_IDENTIFIED);
        assert_string_equal(identity.class_name, expected[i].class_name);
        assert_string_equal(identity.args.data, expected[i].args);
        assert_string_equal(identity.id.data ? identity.id.data : "", expected[i].id);
    }
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

/* A payload without args must not take the claim of the job whose args look like that payload. */
static void
a_whole_payload_never_equals_another_payloads_args(void **state)
{
    (void)state;
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_identity whole;
    struct jg_identity args;
    jg_identity_init(&whole);
    jg_identity_init(&args);
    assert_int_equal(identify_text(&spec, "[1]", &whole), JG_IDENTIFIED);
    assert_int_equal(identify_text(&spec, "{\"args\":[1]}", &args), JG_IDENTIFIED);
    assert_string_equal(whole.class_name, args.class_name);
    assert_string_not_equal(whole.key, args.key);
    jg_identity_clear(&whole);
    jg_identity_clear(&args);
    spec_clear(&spec);
}

static void
check_unidentified(const struct jg_topic_spec *spec, const void *payload, size_t size_bytes, const char *reason)
{
    struct jg_identity identity;
    jg_identity_init(&identity);
    if (identify(spec, payload, size_bytes, &identity) != JG_UNIDENTIFIED)
        fail_msg("identified: %.*s", (int)size_bytes, (const char *)payload);
    if (!strstr(identity.reason.text, reason))
        fail_msg("'%s' is not in '%s'", reason, identity.reason.text);
    assert_string_equal(identity.key, "");
    jg_identity_clear(&identity);
}

static void
what_is_not_json_is_unidentified(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        const char *reason;
    } bad[] = {
        {"", "premature EOF"},
        {"  ", "premature EOF"},
        {"hello", "lexical error"},
        {"{\"class\":\"A\"", "premature EOF"},
        {"{\"class\":\"A\"}x", "trailing garbage"},
        {"{} {}", "trailing garbage"},
        {"[1,]", "JSON"},
        {"{\"a\":1,}", "JSON"},
        {"{a:1}", "JSON"},
        {"{'a':1}", "JSON"},
        {"[01]", "JSON"},
        {"[+1]", "JSON"},
        {"[.5]", "JSON"},
        {"[1.]", "JSON"},
        {"[1e]", "JSON"},
        {"[NaN]", "JSON"},
        {"[Infinity]", "JSON"},
        {"[1] // no", "JSON"},
        {"/* no */ [1]", "JSON"},
        {"\xef\xbb\xbf[1]", "JSON"},
        {"[\"\x01\"]", "JSON"},
        {"[\"\\x41\"]", "JSON"},
        {"[\"\\u12g4\"]", "JSON"},
        {"[\"\xff\"]", "UTF-8"},
        {"[\"\xc0\x80\"]", "UTF-8"},
        {"[\"\xed\xa0\x80\"]", "UTF-8"},
        {"[\"\\ud800\"]", "surrogate"},
        {"[\"\\udc00\"]", "surrogate"},
        {"[\"\\ud800\\ud800\"]", "surrogate"},
        {"[\"\\ud800x\\udc00\"]", "surrogate"},
        {"[\"\\ud83d\\u0041\"]", "surrogate"},
        {"[\"\\ud800", "surrogate"},
        {"[\"\\\\\\ud800\"]", "surrogate"},
        {"[\"\\", "JSON"},
        {"[\"\\u", "JSON"},
    };
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_unidentified(&spec, bad[i].payload, strlen(bad[i].payload), bad[i].reason);
    check_unidentified(&spec, "[1]\0", 4, "JSON");
    check_unidentified(&spec, "[\"\0\"]", 5, "JSON");
    spec_clear(&spec);
}

static void
a_reason_never_quotes_the_payload(void **state)
{
    (void)state;
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_identity identity;
    jg_identity_init(&identity);
    assert_int_equal(identify_text(&spec, "{\"card\": secret4711}", &identity), JG_UNIDENTIFIED);
    assert_null(strstr(identity.reason.text, "secret"));
    assert_null(strchr(identity.reason.text, '\n'));
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

/* `levels` brackets, then as many that close. */
static void
nest(struct jg_buf *out, const char *open, const char *close, size_t levels)
{
    jg_buf_reset(out);
    for (size_t i = 0; i < levels; i++)
        jg_buf_text(out, open);
    jg_buf_text(out, "1");
    for (size_t i = 0; i < levels; i++)
        jg_buf_text(out, close);
}

static void
nesting_is_bounded(void **state)
{
    (void)state;
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_identity identity;
    struct jg_buf json = JG_BUF_INIT;
    jg_identity_init(&identity);
    nest(&json, "[", "]", 128);
    assert_int_equal(identify(&spec, json.data, json.size_bytes, &identity), JG_IDENTIFIED);
    nest(&json, "[", "]", 129);
    check_unidentified(&spec, json.data, json.size_bytes, "too deep");
    nest(&json, "{\"a\":", "}", 1000000);
    check_unidentified(&spec, json.data, json.size_bytes, "too deep");
    nest(&json, "[", "", 1000000);
    check_unidentified(&spec, json.data, json.size_bytes, "too deep");
    jg_identity_clear(&identity);
    jg_buf_clear(&json);
    spec_clear(&spec);
}

static void
what_cannot_be_a_class_is_unidentified(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        const char *reason;
    } bad[] = {
        {"{\"class\":\"\"}", "empty"},           {"{\"class\":7}", "not text"},
        {"{\"class\":null}", "not text"},        {"{\"class\":[\"A\"]}", "not text"},
        {"{\"class\":{}}", "not text"},          {"{\"class\":\"A\\nB\"}", "control"},
        {"{\"class\":\"A\\u0000\"}", "control"}, {"{\"class\":\"A\xc2\x9b\"}", "control"},
        {"{\"class\":\"\x7f\"}", "control"},
    };
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_unidentified(&spec, bad[i].payload, strlen(bad[i].payload), bad[i].reason);
    spec_clear(&spec);
}

static void
a_class_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_identity identity;
    char json[JG_CLASS_MAX_BYTES * 2 + 64];
    char name[JG_CLASS_MAX_BYTES + 2];
    jg_identity_init(&identity);
    memset(name, 'x', sizeof(name));
    snprintf(json, sizeof(json), "{\"class\":\"\\\"\\\\%.*s\"}", JG_CLASS_MAX_BYTES - 2, name);
    assert_int_equal(identify_text(&spec, json, &identity), JG_IDENTIFIED);
    assert_int_equal(strlen(identity.class_name), JG_CLASS_MAX_BYTES);
    assert_memory_equal(identity.class_name, "\"\\xx", 4);
    snprintf(json, sizeof(json), "{\"class\":\"%.*s\"}", JG_CLASS_MAX_BYTES + 1, name);
    check_unidentified(&spec, json, strlen(json), "too long");
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

static void
a_null_payload_is_no_job_and_an_empty_one_is_unidentified(void **state)
{
    (void)state;
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_identity identity;
    jg_identity_init(&identity);
    assert_int_equal(identify(&spec, NULL, 0, &identity), JG_NO_JOB);
    assert_int_equal(identify(&spec, "", 0, &identity), JG_UNIDENTIFIED);
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

static void
an_identity_can_be_used_again_after_a_failure(void **state)
{
    (void)state;
    struct jg_topic_spec spec = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_identity identity;
    jg_identity_init(&identity);
    assert_int_equal(identify_text(&spec, "{\"class\":\"A\",\"args\":[1],\"jid\":\"j\"}", &identity), JG_IDENTIFIED);
    assert_int_equal(identify_text(&spec, "{\"class\":\"B", &identity), JG_UNIDENTIFIED);
    assert_string_equal(identity.class_name, "");
    assert_string_equal(identity.key, "");
    assert_int_equal(identity.args.size_bytes, 0);
    assert_int_equal(identity.id.size_bytes, 0);
    assert_int_equal(identify_text(&spec, "{\"class\":\"C\",\"args\":[2]}", &identity), JG_IDENTIFIED);
    assert_string_equal(identity.class_name, "C");
    assert_string_equal(identity.args.data, "[2]");
    assert_string_equal(identity.reason.text, "");
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sidekiq_jobs_are_identified_without_any_selector),
        cmocka_unit_test(active_jobs_are_identified_by_their_own_class_and_arguments),
        cmocka_unit_test(equal_jobs_have_one_key_whatever_else_their_payloads_hold),
        cmocka_unit_test(a_known_job_has_the_key_it_always_had),
        cmocka_unit_test(other_json_falls_back_to_topic_and_payload),
        cmocka_unit_test(a_whole_payload_never_equals_another_payloads_args),
        cmocka_unit_test(what_is_not_json_is_unidentified),
        cmocka_unit_test(a_reason_never_quotes_the_payload),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(what_cannot_be_a_class_is_unidentified),
        cmocka_unit_test(a_class_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(a_null_payload_is_no_job_and_an_empty_one_is_unidentified),
        cmocka_unit_test(an_identity_can_be_used_again_after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
