/* SPDX-License-Identifier: Apache-2.0 */
/* No message shows a password, however malformed what holds it is. */
#include "tests/unit/conf_support.h"

static void
a_redacted_url_is_recognisable(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"redis://localhost:6379", "redis://localhost:6379"},
        {"redis://localhost:6379/2", "redis://localhost:6379/2"},
        {"redis://127.0.0.1", "redis://127.0.0.1"},
        {"redis://[::1]:6379/2", "redis://[::1]:6379/2"},
        {"redis://user:geheim@h:1/2", "redis://user:***@h:1/2"},
        {"redis://:geheim@h:1/2", "redis://***@h:1/2"},
        {"redis+unix:///run/redis.sock?db=1", "redis+unix:///run/redis.sock?db=1"},
        {"redis+unix://u:geheim@/run/redis.sock", "redis+unix://u:***@/run/redis.sock"},
        {"memory:", "memory:"},
        {"memory:demo", "memory:demo"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[128];
        jg_conf_redact(rows[i][0], out, sizeof out);
        assert_string_equal(out, rows[i][1]);
    }
}

static void
no_part_of_a_password_is_shown_however_malformed_the_url_is(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "redis://user:geheim@geheim@h:1",
        "redis://geheim@h",
        "redis://user:ge%40heim-geheim@h",
        "redis://:geh/geheim@h",
        "redis://u:x/geheim@h",
        "redis://u:geheim",
        "redis://:geheim",
        "redis:u:geheim@h",
        "u:geheim@h",
        "geheim@h",
        "redis://h/0?password=geheim",
        "redis://h?db=1&password=geheim",
        "redis://h#geheim",
        "redis://a:geheim@h1,redis://b:geheim@h2",
        "redis://h redis://:geheim@h",
        "redis://u%20:geheim@h",
        "redis://u:geheim@",
        "redis:/u:geheim@h",
        "REDIS://:geheim@h",
        "redis://[::1:geheim@h",
        "redis://[::1]geheim@h",
        "redis://h:geheim",
        "redis://:geheim:1@h",
        "\tredis://:geheim@h\n",
        "memory:x:geheim@y",
        "redis://h:6379:geheim",
        "redis://h: geheim",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char out[128];
        jg_conf_redact(urls[i], out, sizeof out);
        if (strstr(out, "geheim"))
            fail_msg("%s is shown as %s", urls[i], out);
    }
}

static void
a_redacted_url_fits_its_buffer(void **state)
{
    (void)state;
    char out[8];
    jg_conf_redact("redis://localhost:6379", out, sizeof out);
    assert_string_equal(out, "redis:/");
    jg_conf_redact("redis://localhost:6379", out, 1);
    assert_string_equal(out, "");
}

static void
no_error_shows_a_secret(void **state)
{
    struct fixture *fixture = *state;
    static const char url[] = "redis://user:" SECRET "@h";
    static const char *const names[] = {"jobgate.stoer",
                                        "jobgate.namespace",
                                        "jobgate.completion",
                                        "jobgate.topics",
                                        "jobgate.store.timeout.ms",
                                        "jobgate.class.Mail.dedup",
                                        "jobgate.format",
                                        "jobgate.kafka",
                                        "jobgate.topic.jobs.store",
                                        "jobgate.class",
                                        "jobgate.x",
                                        "jobgate.config",
                                        "jobgate.schema"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(jg_conf_set(fixture->conf, names[i], url, &fixture->error), JG_EINVAL);
        if (strstr(fixture->error.text, SECRET))
            fail_msg("%s", fixture->error.text);
    }
    refuse(fixture, "jobgate.store.redis://user:" SECRET "@h", "x", "no such setting");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_redacted_url_is_recognisable),
        TEST(no_part_of_a_password_is_shown_however_malformed_the_url_is),
        TEST(a_redacted_url_fits_its_buffer),
        TEST(no_error_shows_a_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
