/* SPDX-License-Identifier: Apache-2.0 */
/* Every row of the table of settings, in a loop: its default is valid, values outside its bounds and words are refused,
 * every typing error of one edit is refused with the right name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plugin/conf.h"
#include "plugin/conf_table.h"

#define EACH_ROW(row)                                                                                                  \
    for (const struct jg_setting *row = jg_setting_table; row < jg_setting_table + JG_SETTING_COUNT; row++)

static enum jg_err
set(const char *name, const char *value, struct jg_error *error)
{
    struct jg_conf *conf = jg_conf_new();
    assert_non_null(conf);
    error->text[0] = '\0';
    enum jg_err err = jg_conf_set(conf, name, value, error);
    jg_conf_destroy(conf);
    return err;
}

static void
assert_refused(const char *name, const char *value, const char *says)
{
    struct jg_error error;
    if (set(name, value, &error) != JG_EINVAL)
        fail_msg("%s=%s was not refused", name, value);
    if (!strstr(error.text, says))
        fail_msg("%s=%s: '%s' does not say '%s'", name, value, error.text, says);
}

static void
assert_accepted(const char *name, const char *value)
{
    struct jg_error error;
    if (set(name, value, &error) != JG_OK)
        fail_msg("%s=%s was refused: %s", name, value, error.text);
}

/* The names under which a row can be set; how many. */
static int
names_of(const struct jg_setting *row, char names[2][96])
{
    if (row->level == JG_LEVEL_ENV || row->level == JG_LEVEL_KAFKA)
        return 0;
    jg_setting_full_name(row, NULL, names[0], sizeof names[0]);
    if (row->level == JG_LEVEL_GLOBAL)
        return 1;
    jg_setting_full_name(row, row->level == JG_LEVEL_TOPIC ? "billing.jobs" : "Billing::Mail.v2", names[1],
                         sizeof names[1]);
    return 2;
}

static void
every_default_is_valid(void **state)
{
    (void)state;
    EACH_ROW(row)
    {
        struct jg_error error = {.text = ""};
        if (row->fallback)
            assert_int_equal(jg_setting_check(row, row->name, row->fallback, &error), JG_OK);
    }
}

static void
every_row_is_told_completely(void **state)
{
    (void)state;
    EACH_ROW(row)
    {
        assert_true(strlen(row->name) > 0);
        assert_non_null(row->since);
        assert_true(strlen(row->doc) > 10);
        assert_null(strchr(row->doc, '|')); /* it stands in a Markdown table */
        assert_null(strpbrk(row->doc, "\"\n"));
        assert_int_equal(row->type == JG_TYPE_NUMBER, row->max > 0);
        if (row->type != JG_TYPE_NUMBER) /* which may have some */
            assert_int_equal(row->type == JG_TYPE_ENUM || row->type == JG_TYPE_BOOL, row->words != NULL);
        assert_ptr_equal(jg_setting_of(row->level, row->name), row);
        assert_int_equal(jg_setting_index(row), row - jg_setting_table);
    }
}

static void
every_number_is_held_within_its_bounds(void **state)
{
    (void)state;
    EACH_ROW(row)
    {
        char names[2][96];
        char value[32];
        int count = row->type == JG_TYPE_NUMBER ? names_of(row, names) : 0;
        for (int i = 0; i < count; i++) {
            snprintf(value, sizeof value, "%lld", (long long)row->min);
            assert_accepted(names[i], value);
            snprintf(value, sizeof value, "%lld", (long long)row->max);
            assert_accepted(names[i], value);
            snprintf(value, sizeof value, "%lld", (long long)row->max + 1);
            assert_refused(names[i], value, "from");
            snprintf(value, sizeof value, "%lld", (long long)row->min - 1);
            assert_refused(names[i], value, names[i]);
            assert_refused(names[i], "", names[i]);
            assert_refused(names[i], "12x", "'12x'");
            assert_refused(names[i], "0x10", names[i]);
            assert_refused(names[i], "1e3", names[i]);
            assert_refused(names[i], "99999999999999999999", names[i]);
        }
    }
}

static void
every_word_is_accepted_and_others_are_refused_with_the_list(void **state)
{
    (void)state;
    EACH_ROW(row)
    {
        char names[2][96];
        int count = row->words ? names_of(row, names) : 0;
        for (int i = 0; i < count; i++) {
            for (const struct jg_word *word = row->words; word->text; word++) {
                assert_accepted(names[i], word->text);
                assert_refused(names[i], "perhaps", word->text);
                assert_int_equal(jg_setting_number(row, word->text), word->value);
            }
            assert_refused(names[i], "", names[i]);
        }
    }
}

static void
the_words_of_dedup_are_those_of_headers_and_store(void **state)
{
    (void)state;
    for (const struct jg_word *word = jg_setting_of(JG_LEVEL_CLASS, "dedup")->words; word->text; word++)
        assert_string_equal(word->text, jg_dedup_name((enum jg_dedup)word->value));
}

static void
every_row_resolves_under_its_names(void **state)
{
    (void)state;
    EACH_ROW(row)
    {
        char names[2][96];
        int count = names_of(row, names);
        for (int i = 0; i < count; i++) {
            struct jg_setting_name resolved;
            assert_true(jg_setting_resolve(names[i] + strlen(JG_CONF_PREFIX), &resolved));
            assert_ptr_equal(resolved.row, row);
            assert_int_equal(resolved.section != NULL, i == 1);
        }
    }
}

static void
assert_typo_is_named(const char *typo, const char *right)
{
    struct jg_setting_name resolved;
    if (jg_setting_resolve(typo + strlen(JG_CONF_PREFIX), &resolved)) {
        fail_msg("%s means %s, as does %s", typo, resolved.row->name, right);
    }
    assert_refused(typo, "value", right);
}

static void
every_typo_of_one_edit_is_refused_with_the_right_name(void **state)
{
    (void)state;
    EACH_ROW(row)
    {
        char names[2][96];
        int count = names_of(row, names);
        for (int i = 0; i < count; i++) {
            const char *right = names[i];
            size_t bytes = strlen(right);
            /* Within the setting's own name; before it stands somebody's topic or class. */
            for (size_t at = bytes - strlen(row->name); at < bytes; at++) {
                char typo[128];
                snprintf(typo, sizeof typo, "%.*s%s", (int)at, right, right + at + 1);
                assert_typo_is_named(typo, right);
                snprintf(typo, sizeof typo, "%.*sq%s", (int)at, right, right + at + 1);
                assert_typo_is_named(typo, right);
                snprintf(typo, sizeof typo, "%.*sq%s", (int)at, right, right + at);
                assert_typo_is_named(typo, right);
                if (at + 1 < bytes && right[at] != right[at + 1]) {
                    snprintf(typo, sizeof typo, "%.*s%c%c%s", (int)at, right, right[at + 1], right[at], right + at + 2);
                    assert_typo_is_named(typo, right);
                }
            }
        }
    }
}

static void
a_typo_in_front_of_a_setting_is_refused_with_the_right_name(void **state)
{
    (void)state;
    assert_refused("jobgate.topik.jobs.format", "json", "jobgate.topic.jobs.format");
    assert_refused("jobgate.clas.Mail.dedup", "none", "jobgate.class.Mail.dedup");
    assert_refused("jobgate.defualt.dedup", "none", "jobgate.default.dedup");
    assert_refused("jobgate.default.dedup.ttl", "1000", "jobgate.default.dedup.ttl.ms");
    assert_refused("jobgate.class.Mail.dedup.ttl", "1000", "jobgate.class.Mail.dedup.ttl.ms");
    assert_refused("jobgate.class.Mail", "x", "jobgate.class.Mail.dedup");
}

static void
a_setting_at_the_wrong_place_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("jobgate.dedup", "none", "jobgate.default.dedup");
    assert_refused("jobgate.dedup.ttl.ms", "1000", "jobgate.class.<class>.dedup.ttl.ms");
    assert_refused("jobgate.class.dedup", "none", "jobgate.default.dedup");
    assert_refused("jobgate.default.format", "json", "jobgate.format");
    assert_refused("jobgate.class.Mail.format", "json", "jobgate.topic.<topic>.format");
    assert_refused("jobgate.topic.jobs.dedup", "none", "jobgate.class.<class>.dedup");
    assert_refused("jobgate.topic.jobs.store", "redis://h", "jobgate.store");
    assert_refused("jobgate.disable", "1", "JOBGATE_DISABLE");
    assert_refused("jobgate.kafka", "x", "jobgate.kafka.<property>");
}

static void
names_that_are_hardly_names_are_refused(void **state)
{
    (void)state;
    char name[2048];
    assert_refused("jobgate.", "x", "no such setting");
    assert_refused("jobgate..", "x", "no such setting");
    assert_refused("jobgate.topic.", "x", "no such setting");
    assert_refused("jobgate.topic..format", "json", "no such setting");
    assert_refused("jobgate.kafka.", "x", "no such setting");
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memcpy(name, "jobgate.", 8);
    assert_refused(name, "x", "no such setting");
    memcpy(name, "jobgate.class.", 14);
    memcpy(name + sizeof name - 7, ".dedup", 7);
    assert_refused(name, "none", "longer than");
}

static void
an_edit_distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(jg_edit_distance("", ""), 0);
    assert_int_equal(jg_edit_distance("", "abc"), 3);
    assert_int_equal(jg_edit_distance("store", "stoer"), 1);
    assert_int_equal(jg_edit_distance("store", "tore"), 1);
    assert_int_equal(jg_edit_distance("store", "stores"), 1);
    assert_int_equal(jg_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(jg_edit_distance("abc", "xyz"), 3);
}

static void
every_row_is_printed_in_every_style(void **state)
{
    (void)state;
    static const enum jg_table_style styles[] = {JG_TABLE_TEXT, JG_TABLE_JSON, JG_TABLE_MARKDOWN, JG_TABLE_MAN};
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
        static char text[65536];
        FILE *out = fmemopen(text, sizeof text, "w");
        assert_non_null(out);
        jg_conf_print_table(out, styles[i]);
        assert_int_equal(fclose(out), 0);
        EACH_ROW(row)
        {
            char name[96];
            if (row->level == JG_LEVEL_ENV)
                assert_true(jg_setting_env_name(row, name, sizeof name));
            else
                jg_setting_full_name(row, NULL, name, sizeof name);
            assert_non_null(strstr(text, name));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_valid),
        cmocka_unit_test(every_row_is_told_completely),
        cmocka_unit_test(every_number_is_held_within_its_bounds),
        cmocka_unit_test(every_word_is_accepted_and_others_are_refused_with_the_list),
        cmocka_unit_test(the_words_of_dedup_are_those_of_headers_and_store),
        cmocka_unit_test(every_row_resolves_under_its_names),
        cmocka_unit_test(every_typo_of_one_edit_is_refused_with_the_right_name),
        cmocka_unit_test(a_typo_in_front_of_a_setting_is_refused_with_the_right_name),
        cmocka_unit_test(a_setting_at_the_wrong_place_is_refused_with_its_place),
        cmocka_unit_test(names_that_are_hardly_names_are_refused),
        cmocka_unit_test(an_edit_distance_counts_edits),
        cmocka_unit_test(every_row_is_printed_in_every_style),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
