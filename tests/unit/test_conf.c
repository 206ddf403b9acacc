/* SPDX-License-Identifier: Apache-2.0 */
/* Where settings come from: client properties, the environment, a file, and which of them counts. */
#include "tests/unit/conf_support.h"

static void
nothing_set_governs_nothing(void **state)
{
    struct fixture *fixture = *state;
    finish(fixture);
    const struct jg_settings *settings = jg_conf_settings(fixture->conf);
    assert_true(jg_conf_is_idle(fixture->conf));
    assert_null(jg_conf_topic(fixture->conf, "jobs"));
    assert_string_equal(settings->name_space, "default");
    assert_null(settings->store);
    assert_int_equal(settings->skip_error, JG_SKIP_PARTITION_EOF);
    assert_false(settings->skip_error_is_set);
    assert_int_equal(settings->completion, JG_COMPLETION_AUTO);
    assert_int_equal(settings->close, JG_CLOSE_COMPLETE);
    assert_false(settings->observe);
    assert_int_equal(settings->store_timeout_ms, 250);
    assert_int_equal(settings->store_wait_ms, 5000);
    assert_int_equal(settings->store_failure, JG_STORE_FAILURE_OPEN);
    assert_int_equal(settings->store_grace_ms, 0);
    assert_int_equal(settings->resumer, JG_RESUMER_EMBEDDED);
    assert_int_equal(settings->log_level, JG_LOG_INFO);
    assert_int_equal(settings->disable, JG_DISABLE_NO);
    struct jg_policy policy;
    jg_conf_policy(fixture->conf, "Mail", &policy);
    assert_true(jg_policy_is_empty(&policy));
    assert_int_equal(policy.limit, 0);
    assert_int_equal(policy.limit_ttl_ms, JG_RUN_TTL_MS);
    assert_int_equal(policy.hold_max, 0);
    assert_int_equal(policy.hold_max_age_ms, 0);
    assert_int_equal(policy.resume_ahead, JG_AUTO);
    assert_int_equal(policy.resume_wait_ms, JG_AUTO);
    assert_int_equal(jg_conf_grace_ms(fixture->conf, &policy), 12000);
    char setting[160];
    assert_null(jg_conf_needs_end(fixture->conf, setting, sizeof setting));
    assert_not_warned(fixture);
}

static void
what_is_set_is_what_is_read(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.store", "redis://user:" SECRET "@localhost:6379/2");
    set(fixture, "jobgate.namespace", "billing");
    set(fixture, "jobgate.skip.error", "timed_out");
    set(fixture, "jobgate.completion", "commit");
    set(fixture, "jobgate.close", "redeliver");
    set(fixture, "jobgate.observe", "True");
    set(fixture, "jobgate.store.timeout.ms", "100");
    set(fixture, "jobgate.store.wait.ms", "0");
    set(fixture, "jobgate.store.failure", "closed");
    set(fixture, "jobgate.log.level", "debug");
    finish(fixture);
    const struct jg_settings *settings = jg_conf_settings(fixture->conf);
    assert_false(jg_conf_is_idle(fixture->conf));
    assert_string_equal(settings->store, "redis://user:" SECRET "@localhost:6379/2");
    assert_string_equal(settings->name_space, "billing");
    assert_int_equal(settings->skip_error, JG_SKIP_TIMED_OUT);
    assert_true(settings->skip_error_is_set);
    assert_int_equal(settings->completion, JG_COMPLETION_COMMIT);
    assert_int_equal(settings->close, JG_CLOSE_REDELIVER);
    assert_true(settings->observe);
    assert_int_equal(settings->store_timeout_ms, 100);
    assert_int_equal(settings->store_wait_ms, 0);
    assert_int_equal(settings->store_failure, JG_STORE_FAILURE_CLOSED);
    assert_int_equal(settings->log_level, JG_LOG_DEBUG);
    assert_not_warned(fixture);
}

static void
a_property_of_others_is_left_to_them(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(jg_conf_set(fixture->conf, "bootstrap.servers", "x", &fixture->error), JG_ENOENT);
    assert_int_equal(jg_conf_set(fixture->conf, "jobgat.store", "x", &fixture->error), JG_ENOENT);
}

static void
client_properties_beat_the_environment_which_beats_the_file_in_any_order(void **state)
{
    struct fixture *fixture = *state;
    for (int client_first = 0; client_first <= 1; client_first++) {
        setenv("JOBGATE_CONFIG",
               write_file(fixture, "jobgate.store=redis://file\njobgate.topics=file\njobgate.namespace=file\n"), 1);
        setenv("JOBGATE_STORE", "redis://environment", 1);
        setenv("JOBGATE_TOPICS", "environment", 1);
        if (client_first)
            set(fixture, "jobgate.store", "redis://client");
        assert_int_equal(jg_conf_load_env(fixture->conf, &fixture->error), JG_OK);
        if (!client_first)
            set(fixture, "jobgate.store", "redis://client");
        finish(fixture);
        const struct jg_settings *settings = jg_conf_settings(fixture->conf);
        assert_string_equal(settings->store, "redis://client");
        assert_non_null(jg_conf_topic(fixture->conf, "environment"));
        assert_null(jg_conf_topic(fixture->conf, "file"));
        assert_string_equal(settings->name_space, "file");
        unlink(fixture->file);
        jg_conf_destroy(fixture->conf);
        fixture->conf = jg_conf_new();
    }
}

static void
the_clients_file_replaces_that_of_the_environment(void **state)
{
    struct fixture *fixture = *state;
    for (int client_first = 0; client_first <= 1; client_first++) {
        char first[64];
        snprintf(first, sizeof first, "%s", write_file(fixture, "jobgate.namespace=one\njobgate.observe=true\n"));
        setenv("JOBGATE_CONFIG", first, 1);
        const char *second = write_file(fixture, "jobgate.namespace=two\n");
        if (client_first)
            set(fixture, "jobgate.config", second);
        assert_int_equal(jg_conf_load_env(fixture->conf, &fixture->error), JG_OK);
        if (!client_first)
            set(fixture, "jobgate.config", second);
        finish(fixture);
        assert_string_equal(jg_conf_settings(fixture->conf)->name_space, "two");
        assert_false(jg_conf_settings(fixture->conf)->observe);
        unlink(first);
        unlink(second);
        jg_conf_destroy(fixture->conf);
        fixture->conf = jg_conf_new();
    }
}

static void
the_last_value_of_one_source_counts(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.namespace", "one");
    set(fixture, "jobgate.namespace", "two");
    finish(fixture);
    assert_string_equal(jg_conf_settings(fixture->conf)->name_space, "two");
}

static void
a_classs_own_setting_in_the_file_beats_the_clients_default(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.config", write_file(fixture, "jobgate.class.Mail.dedup=none\n"));
    set(fixture, "jobgate.default.dedup", "until_executed");
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.store", "redis://h");
    finish(fixture);
    struct jg_policy policy;
    jg_conf_policy(fixture->conf, "Mail", &policy);
    assert_int_equal(policy.dedup, JG_DEDUP_NONE);
}

static void
an_empty_value_unsets_what_a_lower_source_set(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.config", write_file(fixture, "jobgate.store=redis://h\njobgate.class=key\n"));
    set(fixture, "jobgate.store", "");
    set(fixture, "jobgate.topics", "a,b");
    set(fixture, "jobgate.topic.a.class", "");
    finish(fixture);
    assert_null(jg_conf_settings(fixture->conf)->store);
    assert_null(jg_conf_topic(fixture->conf, "a")->class_selector);
    assert_non_null(jg_conf_topic(fixture->conf, "b")->class_selector);
}

static void
a_file_may_hold_comments_blank_lines_and_spaces(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.config",
        write_file(fixture, "# a comment = not a setting\n\n   \t\r\n  jobgate.namespace = billing  \r\n"
                            "\t# another\njobgate.topics=a, b\n#jobgate.observe=true\njobgate.store=redis://h"));
    finish(fixture);
    assert_string_equal(jg_conf_settings(fixture->conf)->name_space, "billing");
    assert_string_equal(jg_conf_settings(fixture->conf)->store, "redis://h");
    assert_false(jg_conf_settings(fixture->conf)->observe);
    assert_non_null(jg_conf_topic(fixture->conf, "b"));
}

static void
a_value_in_a_file_keeps_its_hash_and_equals_signs(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.config",
        write_file(fixture, " # a comment\n\n  jobgate.store = redis://:p#=@h  \r\njobgate.observe=true"));
    finish(fixture);
    assert_string_equal(jg_conf_settings(fixture->conf)->store, "redis://:p#=@h");
    assert_true(jg_conf_settings(fixture->conf)->observe);
}

static void
an_error_in_a_file_names_file_and_line(void **state)
{
    struct fixture *fixture = *state;
    refuse_file(fixture, "\n# c\njobgate.stoer=redis://:" SECRET "@h\n",
                ":3: jobgate.stoer: no such setting; did you mean jobgate.store?");
    refuse_file(fixture, "jobgate.store redis://:" SECRET "@h\n", ":1: no '='");
    refuse_file(fixture, "redis://:" SECRET "=x@h\n", ":1: '");
    refuse_file(fixture, "jobgate.store redis://:" SECRET "=@h\n", ":1: jobgate.store...: no such setting");
    refuse_file(fixture, "store=redis://:" SECRET "@h\n", ":1: 'store' does not start with jobgate.");
    refuse_file(fixture, "jobgate.namespace=redis://:" SECRET "@h\n", ":1: jobgate.namespace: ");
    refuse_file(fixture, "jobgate.observe=true\njobgate.store.timeout.ms=5\n", ":2: jobgate.store.timeout.ms: '5'");
    refuse_file(fixture, "jobgate.config=/etc/other\n", ":1: a file cannot name another");
}

static void
a_file_that_cannot_be_read_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    refuse(fixture, "jobgate.config", "/nonexistent/jobgate.conf", "/nonexistent/jobgate.conf");
    refuse(fixture, "jobgate.config", "/", "Is a directory");
    setenv("JOBGATE_CONFIG", "/nonexistent/jobgate.conf", 1);
    assert_int_equal(jg_conf_load_env(fixture->conf, &fixture->error), JG_EINVAL);
    assert_non_null(strstr(fixture->error.text, "JOBGATE_CONFIG"));
}

static void
a_refused_file_sets_nothing(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.config", write_file(fixture, "jobgate.namespace=first\n"));
    unlink(fixture->file);
    refuse_file(fixture, "jobgate.namespace=second\njobgate.nonsense=1\n", ":2:");
    finish(fixture);
    assert_string_equal(jg_conf_settings(fixture->conf)->name_space, "first");
}

static void
the_environment_sets_global_and_default_settings(void **state)
{
    struct fixture *fixture = *state;
    setenv("JOBGATE_STORE", "redis://h", 1);
    setenv("JOBGATE_STORE_TIMEOUT_MS", "77", 1);
    setenv("JOBGATE_DEFAULT_DEDUP", "until_executed", 1);
    setenv("JOBGATE_TOPICS", "jobs", 1);
    setenv("JOBGATE_FORMAT", "raw", 1);
    assert_int_equal(jg_conf_load_env(fixture->conf, &fixture->error), JG_OK);
    finish(fixture);
    assert_string_equal(jg_conf_settings(fixture->conf)->store, "redis://h");
    assert_int_equal(jg_conf_settings(fixture->conf)->store_timeout_ms, 77);
    assert_int_equal(jg_conf_topic(fixture->conf, "jobs")->format, JG_FORMAT_RAW);
    char setting[160];
    assert_string_equal(jg_conf_needs_end(fixture->conf, setting, sizeof setting), "jobgate.default.dedup");
    assert_not_warned(fixture);
}

static void
a_bad_value_in_the_environment_names_its_variable(void **state)
{
    struct fixture *fixture = *state;
    setenv("JOBGATE_STORE_TIMEOUT_MS", "soon", 1);
    assert_int_equal(jg_conf_load_env(fixture->conf, &fixture->error), JG_EINVAL);
    assert_non_null(strstr(fixture->error.text, "JOBGATE_STORE_TIMEOUT_MS: 'soon'"));
    assert_non_null(strstr(fixture->error.text, "10 to 60000"));
}

static void
an_unknown_variable_is_a_warning_without_its_value(void **state)
{
    struct fixture *fixture = *state;
    setenv("JOBGATE_SERVICE_HOST", "10.0.0." SECRET, 1);
    setenv("JOBGATE_STOER", "redis://:" SECRET "@h", 1);
    assert_int_equal(jg_conf_load_env(fixture->conf, &fixture->error), JG_OK);
    finish(fixture);
    assert_warned(fixture, "JOBGATE_SERVICE_HOST");
    assert_warned(fixture, "JOBGATE_STOER (did you mean JOBGATE_STORE?)");
}

static void
an_empty_variable_counts_as_unset(void **state)
{
    struct fixture *fixture = *state;
    setenv("JOBGATE_STORE_TIMEOUT_MS", "", 1);
    setenv("JOBGATE_CONFIG", "", 1);
    setenv("JOBGATE_DISABLE", "", 1);
    assert_int_equal(jg_conf_load_env(fixture->conf, &fixture->error), JG_OK);
    finish(fixture);
    assert_int_equal(jg_conf_settings(fixture->conf)->store_timeout_ms, 250);
}

static void
the_emergency_switch_is_read_from_the_environment(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *value;
        enum jg_disable disable;
    } rows[] = {{"0", JG_DISABLE_NO}, {"1", JG_DISABLE_PASS}, {"all", JG_DISABLE_ALL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct jg_conf *conf = jg_conf_new();
        setenv("JOBGATE_DISABLE", rows[i].value, 1);
        assert_int_equal(jg_conf_load_env(conf, &fixture->error), JG_OK);
        assert_int_equal(jg_conf_finish(conf, &fixture->log, &fixture->error), JG_OK);
        assert_int_equal(jg_conf_settings(conf)->disable, rows[i].disable);
        jg_conf_destroy(conf);
    }
    setenv("JOBGATE_DISABLE", "maybe", 1);
    assert_int_equal(jg_conf_load_env(fixture->conf, &fixture->error), JG_EINVAL);
    assert_non_null(strstr(fixture->error.text, "0, 1, all"));
}

static void
the_emergency_switch_works_with_settings_that_would_be_refused(void **state)
{
    struct fixture *fixture = *state;
    setenv("JOBGATE_DISABLE", "1", 1);
    assert_int_equal(jg_conf_load_env(fixture->conf, &fixture->error), JG_OK);
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.default.dedup", "until_executing");
    finish(fixture);
    assert_warned(fixture, "jobgate.store");
}

struct seen {
    struct jg_buf text;
    int left;
};

static bool
see(void *opaque, const char *name, const char *value)
{
    struct seen *seen = opaque;
    jg_buf_format(&seen->text, "%s=%s;", name, value);
    return --seen->left > 0;
}

static void
kafka_properties_are_kept_for_our_own_clients(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.config", write_file(fixture, "jobgate.kafka.sasl.username=file\n"));
    set(fixture, "jobgate.kafka.sasl.username", "me");
    set(fixture, "jobgate.kafka.sasl.password", "a=b\nc");
    set(fixture, "jobgate.kafka.bootstrap.servers", "h:1");
    finish(fixture);
    struct seen seen = {.left = 10};
    jg_conf_each_kafka(fixture->conf, see, &seen);
    assert_string_equal(seen.text.data, "bootstrap.servers=h:1;sasl.password=a=b\nc;sasl.username=me;");
    jg_buf_reset(&seen.text);
    seen.left = 1;
    jg_conf_each_kafka(fixture->conf, see, &seen);
    assert_string_equal(seen.text.data, "bootstrap.servers=h:1;");
    jg_buf_clear(&seen.text);
}

static void
start_again(struct fixture *fixture)
{
    jg_conf_destroy(fixture->conf);
    fixture->conf = jg_conf_new();
    assert_non_null(fixture->conf);
}

static void
a_load_by_slots_needs_a_capacity_of_some_class(void **state)
{
    struct fixture *fixture = *state;
    struct jg_policy policy;
    set(fixture, "jobgate.class.Mail.capacity.load", "slots");
    refuse_finish(fixture, "jobgate.class.Mail.capacity.load is slots, but capacity is not set");
    start_again(fixture);
    set(fixture, "jobgate.default.capacity.load", "slots");
    refuse_finish(fixture, "jobgate.default.capacity.load is slots");
    start_again(fixture);
    set(fixture, "jobgate.default.capacity.load", "slots");
    set(fixture, "jobgate.class.Mail.capacity", "3");
    set(fixture, "jobgate.class.Mail.capacity.slot.ttl.ms", "5000");
    set(fixture, "jobgate.class.Other.capacity", "2");
    set(fixture, "jobgate.class.Other.capacity.load", "redis:slots");
    finish(fixture);
    jg_conf_policy(fixture->conf, "Mail", &policy);
    assert_int_equal(jg_policy_slot_ttl_ms(&policy), 5000);
    assert_null(jg_gauge_key(policy.capacity_load));
    jg_conf_policy(fixture->conf, "Other", &policy);
    assert_int_equal(jg_policy_slot_ttl_ms(&policy), 0);
    assert_string_equal(jg_gauge_key(policy.capacity_load), "slots");
    assert_int_equal(policy.capacity_slot_ttl_ms, 600000);
    jg_conf_policy(fixture->conf, "Third", &policy);
    assert_int_equal(jg_policy_slot_ttl_ms(&policy), 0);
    start_again(fixture);
    refuse(fixture, "jobgate.class.Mail.capacity.load", "slot", "nor `slots`");
    refuse(fixture, "jobgate.class.Mail.capacity.load", "redis://slots", "nor `slots`");
    refuse(fixture, "jobgate.class.Mail.capacity.work", "slots", "not `redis:<key>`");
}

static bool
follows_up(struct fixture *fixture, const char *class_name)
{
    struct jg_policy policy;
    jg_conf_policy(fixture->conf, class_name, &policy);
    return policy.dedup_follow_up;
}

static void
follow_ups_need_a_claim_that_lasts_until_the_end(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.default.dedup", "until_executing");
    set(fixture, "jobgate.default.dedup.follow.up", "true");
    refuse_finish(fixture, "jobgate.default.dedup.follow.up is true, but dedup is until_executing: set "
                           "dedup=until_executed");
    start_again(fixture);
    set(fixture, "jobgate.class.Mail.dedup.follow.up", "true");
    refuse_finish(fixture, "jobgate.class.Mail.dedup.follow.up is true, but dedup is none");
    start_again(fixture);
    /* What is set for all classes is for those that can have it. */
    set(fixture, "jobgate.default.dedup.follow.up", "true");
    set(fixture, "jobgate.class.Mail.dedup", "until_executed");
    set(fixture, "jobgate.class.Other.dedup", "until_executing");
    finish(fixture);
    assert_true(follows_up(fixture, "Mail"));
    assert_false(follows_up(fixture, "Other"));
    assert_false(follows_up(fixture, "Third"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_set_governs_nothing),
        TEST(what_is_set_is_what_is_read),
        TEST(a_property_of_others_is_left_to_them),
        TEST(client_properties_beat_the_environment_which_beats_the_file_in_any_order),
        TEST(the_clients_file_replaces_that_of_the_environment),
        TEST(the_last_value_of_one_source_counts),
        TEST(a_classs_own_setting_in_the_file_beats_the_clients_default),
        TEST(an_empty_value_unsets_what_a_lower_source_set),
        TEST(a_file_may_hold_comments_blank_lines_and_spaces),
        TEST(a_value_in_a_file_keeps_its_hash_and_equals_signs),
        TEST(an_error_in_a_file_names_file_and_line),
        TEST(a_file_that_cannot_be_read_is_an_error),
        TEST(a_refused_file_sets_nothing),
        TEST(the_environment_sets_global_and_default_settings),
        TEST(a_bad_value_in_the_environment_names_its_variable),
        TEST(an_unknown_variable_is_a_warning_without_its_value),
        TEST(an_empty_variable_counts_as_unset),
        TEST(the_emergency_switch_is_read_from_the_environment),
        TEST(the_emergency_switch_works_with_settings_that_would_be_refused),
        TEST(kafka_properties_are_kept_for_our_own_clients),
        TEST(a_load_by_slots_needs_a_capacity_of_some_class),
        TEST(follow_ups_need_a_claim_that_lasts_until_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
