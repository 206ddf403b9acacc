/* SPDX-License-Identifier: Apache-2.0 */
/* What settings mean: which topics are governed and how, which policy a class has, and what does not fit together. */
#include <pthread.h>

#include "plugin/selector.h"
#include "tests/unit/conf_support.h"

static void
topics_are_exact_names_and_patterns(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", " jobs , ^mail-[0-9]+$,, a.b_c-D,^tenant\\.(x|y)\\.,jobs");
    finish(fixture);
    static const char *const governed[] = {"jobs", "mail-1", "mail-123", "a.b_c-D", "tenant.x.q", "tenant.y."};
    static const char *const others[] = {"job", "jobss", "mail-", "mail-1x", "xmail-1", "aXb_c-D", "tenant.z.q", ""};
    for (int round = 0; round < 3; round++) { /* asked of the patterns, then of what was kept */
        for (size_t i = 0; i < sizeof governed / sizeof governed[0]; i++)
            assert_non_null(jg_conf_topic(fixture->conf, governed[i]));
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            assert_null(jg_conf_topic(fixture->conf, others[i]));
    }
}

static void
a_topic_list_that_cannot_be_meant_is_refused(void **state)
{
    struct fixture *fixture = *state;
    refuse(fixture, "jobgate.topics", "jobs;mail", "'jobs;mail' is no topic name");
    refuse(fixture, "jobgate.topics", "jobs mail", "no topic name");
    refuse(fixture, "jobgate.topics", "jobs,..", "'..'");
    refuse(fixture, "jobgate.topics", "^jobs-(a", "'^jobs-(a' is no POSIX extended regular expression");
    refuse(fixture, "jobgate.topics", "^jobs-[0-9]{1,2}", "a comma ends a pattern");
    refuse(fixture, "jobgate.topics", "^a++++++++++++++++++++", "'^a++++++++++++++++++++' repeats too much");
    refuse(fixture, "jobgate.topics", "^(a{200}){200}", "repeats too much");
    refuse(fixture, "jobgate.topics", "^a{99999999999999999999}", "repeats too much");
    refuse(fixture, "jobgate.topic.a b.format", "json", "no topic name");
}

static void
events_go_to_one_topic_that_is_not_governed(void **state)
{
    struct fixture *fixture = *state;
    refuse(fixture, "jobgate.events.topic", "a,b", "'a,b' is no topic name");
    refuse(fixture, "jobgate.events.topic", "^a", "no topic name");
    refuse(fixture, "jobgate.events.topic", "..", "'..'");
    set(fixture, "jobgate.topics", "^jobs.*");
    set(fixture, "jobgate.events.topic", "events");
    finish(fixture);
    assert_string_equal(jg_conf_settings(fixture->conf)->events_topic, "events");
}

static void
events_about_events_are_refused(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "^jobs.*");
    set(fixture, "jobgate.events.topic", "jobs-events");
    refuse_finish(fixture, "jobgate.events.topic=jobs-events is governed by jobgate.topics");
}

static void
a_topics_own_settings_go_before_those_for_all(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "a,b.format,^c-");
    set(fixture, "jobgate.format", "raw");
    set(fixture, "jobgate.on.unidentified", "reject");
    set(fixture, "jobgate.id", "header:id");
    set(fixture, "jobgate.topic.a.format", "json");
    set(fixture, "jobgate.topic.a.class", "field:kind");
    set(fixture, "jobgate.topic.b.format.on.unidentified", "pass");
    set(fixture, "jobgate.topic.^c-.format", "json");
    set(fixture, "jobgate.topic.c-2.on.unidentified", "pass");
    finish(fixture);
    const struct jg_topic_spec *a = jg_conf_topic(fixture->conf, "a");
    assert_int_equal(a->format, JG_FORMAT_JSON);
    assert_int_equal(a->on_unidentified, JG_UNIDENTIFIED_REJECT);
    assert_non_null(a->class_selector);
    assert_non_null(a->id_selector);
    assert_null(a->args_selector);
    const struct jg_topic_spec *b = jg_conf_topic(fixture->conf, "b.format");
    assert_int_equal(b->format, JG_FORMAT_RAW);
    assert_int_equal(b->on_unidentified, JG_UNIDENTIFIED_PASS);
    const struct jg_topic_spec *c1 = jg_conf_topic(fixture->conf, "c-1");
    assert_int_equal(c1->format, JG_FORMAT_JSON);
    assert_int_equal(c1->on_unidentified, JG_UNIDENTIFIED_REJECT);
    const struct jg_topic_spec *c2 = jg_conf_topic(fixture->conf, "c-2");
    assert_int_equal(c2->format, JG_FORMAT_RAW);
    assert_int_equal(c2->on_unidentified, JG_UNIDENTIFIED_PASS);
    assert_not_warned(fixture);
}

static void
settings_of_a_topic_that_is_not_governed_are_warned_about(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.topic.jobz.format", "raw");
    finish(fixture);
    assert_warned(fixture, "jobgate.topic.jobz.*");
}

static void
a_selector_that_cannot_be_read_is_refused(void **state)
{
    struct fixture *fixture = *state;
    refuse(fixture, "jobgate.class", "feild:kind", "jobgate.class: ");
    refuse(fixture, "jobgate.topic.jobs.args", "header:", "jobgate.topic.jobs.args: ");
}

static void
fields_of_raw_payloads_are_refused(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.topic.jobs.format", "raw");
    set(fixture, "jobgate.args", "field:args");
    refuse_finish(fixture, "settings of topic 'jobs': ");
}

static void
avro_without_a_schema_is_refused(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "jobs,^mail-");
    set(fixture, "jobgate.topic.^mail-.format", "avro");
    refuse_finish(fixture, "jobgate.schema is not set: topic '^mail-' has format avro");
    assert_non_null(jg_conf_topic(fixture->conf, "jobs"));
    assert_non_null(jg_conf_topic(fixture->conf, "mail-1"));
}

static void
a_schema_that_cannot_be_read_is_refused(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.format", "avro");
    set(fixture, "jobgate.topic.jobs.schema", "/nonexistent/job.avsc");
    refuse_finish(fixture, "jobgate.topic.jobs.schema: ");
    assert_non_null(strstr(fixture->error.text, "/nonexistent/job.avsc"));
    assert_non_null(jg_conf_topic(fixture->conf, "jobs"));
}

static void
a_schema_is_loaded_where_the_format_is_avro(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.schema",
        write_file(fixture, "{\"type\":\"record\",\"name\":\"job\",\"fields\":"
                            "[{\"name\":\"class\",\"type\":\"string\"}]}"));
    set(fixture, "jobgate.topics", "a,b");
    set(fixture, "jobgate.topic.a.format", "avro");
    set(fixture, "jobgate.topic.b.schema", fixture->file);
    finish(fixture);
    assert_non_null(jg_conf_topic(fixture->conf, "a")->schema);
    assert_null(jg_conf_topic(fixture->conf, "b")->schema);
    assert_warned(fixture, "jobgate.topic.b.schema does nothing");
}

static void
more_topics_than_the_cache_holds_are_still_told_apart(void **state)
{
    struct fixture *fixture = *state;
    char name[300];
    set(fixture, "jobgate.topics", "^jobs-[0-9]*[02468]$");
    finish(fixture);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3000; i++) {
            snprintf(name, sizeof name, "jobs-%d", i);
            assert_int_equal(jg_conf_topic(fixture->conf, name) != NULL, i % 2 == 0);
        }
    }
    memset(name, '0', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memcpy(name, "jobs-", 5);
    assert_non_null(jg_conf_topic(fixture->conf, name));
}

struct asker {
    const struct jg_conf *conf;
    pthread_barrier_t barrier;
};

static void *
ask_for_topics(void *opaque)
{
    struct asker *asker = opaque;
    char name[32];
    pthread_barrier_wait(&asker->barrier);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "jobs-%d", i % 700);
        if ((jg_conf_topic(asker->conf, name) != NULL) != (i % 700 % 2 == 0))
            return NULL;
    }
    return opaque;
}

static void
threads_may_ask_for_topics_at_once(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[4];
    struct asker asker = {.conf = fixture->conf};
    set(fixture, "jobgate.topics", "^jobs-[0-9]*[02468]$");
    finish(fixture);
    assert_int_equal(pthread_barrier_init(&asker.barrier, NULL, 4), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_topics, &asker), 0);
    for (int i = 0; i < 4; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    pthread_barrier_destroy(&asker.barrier);
}

static void
assert_needs_end(const struct fixture *fixture, const char *setting)
{
    char told[160];
    const char *found = jg_conf_needs_end(fixture->conf, told, sizeof told);
    assert_non_null(found);
    assert_string_equal(found, setting);
}

static void
a_classs_policy_goes_before_the_default(void **state)
{
    struct fixture *fixture = *state;
    struct jg_policy policy;
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.store", "redis://h");
    set(fixture, "jobgate.default.dedup", "until_executing");
    set(fixture, "jobgate.default.dedup.ttl.ms", "60000");
    set(fixture, "jobgate.class.Mail::Send.v2.dedup", "until_executed");
    set(fixture, "jobgate.class.Mail::Send.v2.dedup.action", "reject");
    set(fixture, "jobgate.class.a.dedup.dedup.ttl.ms", "50000");
    set(fixture, "jobgate.class.Other.dedup", "none");
    finish(fixture);
    jg_conf_policy(fixture->conf, "Mail::Send.v2", &policy);
    assert_int_equal(policy.dedup, JG_DEDUP_UNTIL_EXECUTED);
    assert_int_equal(policy.dedup_action, JG_DUP_REJECT);
    assert_int_equal(policy.dedup_ttl_ms, 60000);
    assert_int_equal(policy.dedup_provisional_ms, 30000);
    jg_conf_policy(fixture->conf, "a.dedup", &policy);
    assert_int_equal(policy.dedup, JG_DEDUP_UNTIL_EXECUTING);
    assert_int_equal(policy.dedup_action, JG_DUP_MARK);
    assert_int_equal(policy.dedup_ttl_ms, 50000);
    jg_conf_policy(fixture->conf, "Other", &policy);
    assert_true(jg_policy_is_empty(&policy));
    jg_conf_policy(fixture->conf, "Mail::Send", &policy);
    assert_int_equal(policy.dedup, JG_DEDUP_UNTIL_EXECUTING);
    assert_needs_end(fixture, "jobgate.class.Mail::Send.v2.dedup");
}

static void
a_classs_limit_goes_before_the_default(void **state)
{
    struct fixture *fixture = *state;
    struct jg_policy policy;
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.store", "redis://h");
    set(fixture, "jobgate.default.hold.max", "1000");
    set(fixture, "jobgate.class.Mail.limit", "10");
    set(fixture, "jobgate.class.Mail.limit.ttl.ms", "6000");
    set(fixture, "jobgate.class.Mail.hold.max.age.ms", "86400000");
    set(fixture, "jobgate.class.Mail.resume.ahead", "5");
    set(fixture, "jobgate.class.Mail.resume.wait.ms", "0");
    set(fixture, "jobgate.class.Stopped.limit", "-1");
    finish(fixture);
    jg_conf_policy(fixture->conf, "Mail", &policy);
    assert_false(jg_policy_is_empty(&policy));
    assert_int_equal(policy.dedup, JG_DEDUP_NONE);
    assert_int_equal(policy.limit, 10);
    assert_int_equal(policy.limit_ttl_ms, 6000);
    assert_int_equal(policy.hold_max, 1000);
    assert_int_equal(policy.hold_max_age_ms, 86400000);
    assert_int_equal(policy.resume_ahead, 5);
    assert_int_equal(policy.resume_wait_ms, 0);
    assert_int_equal(jg_conf_grace_ms(fixture->conf, &policy), 4000);
    jg_conf_policy(fixture->conf, "Stopped", &policy);
    assert_int_equal(policy.limit, -1);
    assert_false(jg_policy_is_empty(&policy));
    jg_conf_policy(fixture->conf, "Other", &policy);
    assert_true(jg_policy_is_empty(&policy));
}

static void
a_grace_that_is_set_counts_for_every_class(void **state)
{
    struct fixture *fixture = *state;
    struct jg_policy policy;
    set(fixture, "jobgate.store.grace.ms", "700");
    finish(fixture);
    jg_conf_policy(fixture->conf, "Mail", &policy);
    assert_int_equal(jg_conf_grace_ms(fixture->conf, &policy), 700);
}

static void
a_setting_that_has_to_see_the_end_of_jobs_is_named(void **state)
{
    static const struct {
        const char *name, *value;
    } settings[] = {{"jobgate.default.dedup", "until_executed"},
                    {"jobgate.default.limit", "3"},
                    {"jobgate.class.Mail.dedup", "until_executed"},
                    {"jobgate.class.Mail.limit", "3"},
                    {"jobgate.class.Mail.limit", "-1"}};
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct fixture fixture = {.conf = jg_conf_new()};
        assert_non_null(fixture.conf);
        set(&fixture, "jobgate.topics", "jobs");
        set(&fixture, "jobgate.store", "redis://h");
        set(&fixture, settings[i].name, settings[i].value);
        finish(&fixture);
        assert_needs_end(&fixture, settings[i].name);
        jg_conf_destroy(fixture.conf);
    }
}

static void
until_executing_alone_does_not_have_to_see_the_end_of_jobs(void **state)
{
    struct fixture *fixture = *state;
    char setting[160];
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.store", "redis://h");
    set(fixture, "jobgate.default.dedup", "until_executing");
    set(fixture, "jobgate.class.Mail.limit", "0");
    finish(fixture);
    assert_null(jg_conf_needs_end(fixture->conf, setting, sizeof setting));
}

static void
a_provisional_time_longer_than_the_ttl_is_refused(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.default.dedup.provisional.ms", "20000");
    set(fixture, "jobgate.class.Mail.dedup.ttl.ms", "10000");
    refuse_finish(fixture,
                  "jobgate.default.dedup.provisional.ms (20000) is longer than dedup.ttl.ms (10000) of class Mail");
}

static void
a_provisional_time_that_nobody_set_gives_way_to_a_short_ttl(void **state)
{
    struct fixture *fixture = *state;
    struct jg_policy policy;
    set(fixture, "jobgate.class.Mail.dedup.ttl.ms", "10000");
    finish(fixture);
    jg_conf_policy(fixture->conf, "Mail", &policy);
    assert_int_equal(policy.dedup_provisional_ms, 10000);
    jg_conf_policy(fixture->conf, "Other", &policy);
    assert_int_equal(policy.dedup_provisional_ms, 30000);
}

static void
a_policy_without_a_store_is_refused_and_knows_its_topics(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "jobs,^mail-");
    set(fixture, "jobgate.class.Mail.dedup", "until_executing");
    refuse_finish(fixture, "jobgate.store is not set, and jobgate.class.Mail.dedup needs it");
    assert_non_null(jg_conf_topic(fixture->conf, "jobs"));
    assert_non_null(jg_conf_topic(fixture->conf, "mail-1"));
    assert_null(jg_conf_topic(fixture->conf, "other"));
}

static void
a_policy_without_topics_is_warned_about(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.default.dedup", "until_executing");
    finish(fixture);
    assert_warned(fixture, "jobgate.topics");
    assert_true(jg_conf_is_idle(fixture->conf));
}

static void
the_memory_store_is_warned_about(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.default.dedup", "until_executing");
    set(fixture, "jobgate.store", "memory:");
    finish(fixture);
    assert_warned(fixture, "this process only");
}

static void
a_classs_limit_key_is_compiled_and_goes_before_the_default(void **state)
{
    struct fixture *fixture = *state;
    struct jg_policy policy;
    char setting[160];
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.store", "redis://localhost");
    set(fixture, "jobgate.default.limit.key", "header:tenant");
    set(fixture, "jobgate.class.Mail.limit.key", "field:args.0.tenant,args.1");
    set(fixture, "jobgate.class.Mail.limit.per.key", "3");
    finish(fixture);
    jg_conf_policy(fixture->conf, "Mail", &policy);
    assert_string_equal(policy.limit_key->text, "field:args.0.tenant,args.1");
    assert_int_equal(jg_policy_per_key(&policy), 3);
    assert_true(jg_policy_gates(&policy));
    assert_false(jg_policy_is_empty(&policy));
    assert_int_equal(policy.limit, 0);
    jg_conf_policy(fixture->conf, "Other", &policy);
    assert_string_equal(policy.limit_key->text, "header:tenant");
    assert_int_equal(jg_policy_per_key(&policy), 1);
    assert_non_null(jg_conf_needs_end(fixture->conf, setting, sizeof setting));
    assert_string_equal(setting, "jobgate.default.limit.key");
}

static void
a_class_without_a_limit_key_counts_by_none(void **state)
{
    struct fixture *fixture = *state;
    struct jg_policy policy;
    set(fixture, "jobgate.topics", "jobs");
    finish(fixture);
    jg_conf_policy(fixture->conf, "Mail", &policy);
    assert_null(policy.limit_key);
    assert_int_equal(jg_policy_per_key(&policy), 0);
    assert_false(jg_policy_gates(&policy));
}

static void
a_limit_key_that_cannot_be_read_is_refused(void **state)
{
    struct fixture *fixture = *state;
    refuse(fixture, "jobgate.class.Mail.limit.key", "args.0.tenant", "jobgate.class.Mail.limit.key");
    refuse(fixture, "jobgate.default.limit.key", "field:a..b", "empty name");
    refuse(fixture, "jobgate.class.Mail.limit.per.key", "0", "1 to 1000000");
    refuse(fixture, "jobgate.class.Mail.limit.per.key", "1000001", "1 to 1000000");
}

static void
a_number_of_a_key_without_a_key_is_refused(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.store", "redis://localhost");
    set(fixture, "jobgate.class.Mail.limit.per.key", "2");
    refuse_finish(fixture, "jobgate.class.Mail.limit.per.key is set, but limit.key is not: set it to");
}

static void
a_limit_key_of_fields_where_no_payload_has_any_is_refused(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, "jobgate.topics", "jobs");
    set(fixture, "jobgate.format", "raw");
    set(fixture, "jobgate.store", "redis://localhost");
    set(fixture, "jobgate.class.Mail.limit.key", "field:tenant");
    refuse_finish(fixture, "jobgate.class.Mail.limit.key 'field:tenant': no topic of jobgate.topics has fields");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(topics_are_exact_names_and_patterns),
        TEST(a_topic_list_that_cannot_be_meant_is_refused),
        TEST(events_go_to_one_topic_that_is_not_governed),
        TEST(events_about_events_are_refused),
        TEST(a_topics_own_settings_go_before_those_for_all),
        TEST(settings_of_a_topic_that_is_not_governed_are_warned_about),
        TEST(a_selector_that_cannot_be_read_is_refused),
        TEST(fields_of_raw_payloads_are_refused),
        TEST(avro_without_a_schema_is_refused),
        TEST(a_schema_that_cannot_be_read_is_refused),
        TEST(a_schema_is_loaded_where_the_format_is_avro),
        TEST(more_topics_than_the_cache_holds_are_still_told_apart),
        TEST(threads_may_ask_for_topics_at_once),
        TEST(a_classs_policy_goes_before_the_default),
        TEST(a_classs_limit_goes_before_the_default),
        TEST(a_classs_limit_key_is_compiled_and_goes_before_the_default),
        TEST(a_class_without_a_limit_key_counts_by_none),
        TEST(a_limit_key_that_cannot_be_read_is_refused),
        TEST(a_number_of_a_key_without_a_key_is_refused),
        TEST(a_limit_key_of_fields_where_no_payload_has_any_is_refused),
        TEST(a_grace_that_is_set_counts_for_every_class),
        TEST(a_setting_that_has_to_see_the_end_of_jobs_is_named),
        TEST(until_executing_alone_does_not_have_to_see_the_end_of_jobs),
        TEST(a_provisional_time_longer_than_the_ttl_is_refused),
        TEST(a_provisional_time_that_nobody_set_gives_way_to_a_short_ttl),
        TEST(a_policy_without_a_store_is_refused_and_knows_its_topics),
        TEST(a_policy_without_topics_is_warned_about),
        TEST(the_memory_store_is_warned_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
