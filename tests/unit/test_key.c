/* SPDX-License-Identifier: Apache-2.0 */
/* Job keys and jids. The keys here were computed apart, by another implementation of SHA-256 over the same bytes: a
 * version that changes one would not recognise the claims of the version before. */
#include "identify_support.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void
a_job_key_never_changes(void **state)
{
    (void)state;
    static const struct {
        const char *name_space;
        const char *class_name;
        const char *args;
        const char *key;
    } known[] = {
        {"", "", "", "9d908ecfb6b256def8b49a7c504e6c88"},
        {"default", "EmailWorker", "[\"bob\",5]", "8d7267d1b87e2716f8356bb0071f8506"},
        {"default", "EmailWorker", "[\"bob\",5.0]", "cee41e642fed896c86bbcdc63c29cbdf"},
        {"prod", "Größe", "payload:{\"id\":9007199254740993}", "bd576ca3e0e53f22dbaeab6eaed02d96"},
        {"default", "Bulk",
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         "e7ccd384b45e7eb2231fd19cee990af3"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char key[JG_KEY_CHARS + 1];
        jg_job_key(known[i].name_space, known[i].class_name, known[i].args, strlen(known[i].args), key);
        assert_string_equal(key, known[i].key);
    }
}

static void
the_parts_of_a_key_cannot_flow_into_each_other(void **state)
{
    (void)state;
    static const char *const parts[][3] = {{"ab", "c", "d"}, {"a", "bc", "d"}, {"a", "b", "cd"},
                                           {"", "abc", "d"}, {"", "", "abcd"}, {"abcd", "", ""}};
    size_t count = sizeof(parts) / sizeof(parts[0]);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            char left[JG_KEY_CHARS + 1];
            char right[JG_KEY_CHARS + 1];
            jg_job_key(parts[i][0], parts[i][1], parts[i][2], strlen(parts[i][2]), left);
            jg_job_key(parts[j][0], parts[j][1], parts[j][2], strlen(parts[j][2]), right);
            assert_string_not_equal(left, right);
        }
    }
}

#define A_KEY "0123456789abcdef0123456789abcdef"

static void
a_jid_is_new_each_time_and_begins_with_its_key(void **state)
{
    (void)state;
    char jids[1000][JG_JID_CHARS + 1];
    for (size_t i = 0; i < 1000; i++) {
        jg_jid_new(A_KEY, jids[i]);
        assert_int_equal(strlen(jids[i]), JG_CHAIN_CHARS);
        assert_memory_equal(jids[i], A_KEY "-", JG_KEY_CHARS + 1);
        assert_true(jg_jid_valid(jids[i], strlen(jids[i])));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(jids[i], jids[j]);
    }
}

static void
a_forked_child_makes_other_jids_than_its_parent(void **state)
{
    (void)state;
    int ends[2];
    char ours[JG_JID_CHARS + 1];
    char theirs[JG_JID_CHARS + 1];
    jg_jid_new(A_KEY, ours);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    jg_jid_new(A_KEY, ours);
    if (child == 0)
        _exit(write(ends[1], ours, sizeof(ours)) == (ssize_t)sizeof(ours) ? 0 : 1);
    assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ends[0]);
    close(ends[1]);
    assert_true(jg_jid_valid(theirs, JG_CHAIN_CHARS));
    assert_string_not_equal(ours, theirs);
}

static void
only_what_a_plugin_made_has_the_form_of_a_jid(void **state)
{
    (void)state;
    static const char good[] = A_KEY "-0123456789abcdef0123";
    assert_true(jg_jid_valid(good, strlen(good)));
    assert_false(jg_jid_valid(good, strlen(good) - 1));
    assert_false(jg_jid_valid("", 0));
    static const char *const bad[] = {A_KEY "+0123456789abcdef0123",
                                      A_KEY "-0123456789abcdef012g",
                                      A_KEY "-0123456789ABCDEF0123",
                                      A_KEY "-0123456789abcdef01234",
                                      "g123456789abcdef0123456789abcdef-0123456789abcdef0123",
                                      "jobs/0/17"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(jg_jid_valid(bad[i], strlen(bad[i])));
}

#define FIRST A_KEY "-0123456789abcdef0123"

static void
the_jids_of_a_chain_count_up_from_its_first(void **state)
{
    (void)state;
    static const char *const good[] = {FIRST "-1", FIRST "-17", FIRST "-9999999999"};
    static const char *const bad[] = {FIRST "-",   FIRST "-0",           FIRST "-01",
                                      FIRST "-1a", FIRST "-99999999990", FIRST "+1"};
    char next[JG_JID_CHARS + 1];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(jg_jid_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(jg_jid_valid(bad[i], strlen(bad[i])));
    assert_int_equal(jg_jid_number(FIRST), 0);
    assert_int_equal(jg_jid_number(FIRST "-17"), 17);
    assert_true(jg_jid_next(FIRST, next));
    assert_string_equal(next, FIRST "-1");
    assert_true(jg_jid_next(FIRST "-99", next));
    assert_string_equal(next, FIRST "-100");
    assert_false(jg_jid_next(FIRST "-9999999999", next));
}

static void
a_dedup_mode_is_read_back_from_its_name(void **state)
{
    (void)state;
    static const enum jg_dedup modes[] = {JG_DEDUP_NONE, JG_DEDUP_UNTIL_EXECUTING, JG_DEDUP_UNTIL_EXECUTED};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        enum jg_dedup parsed;
        assert_true(jg_dedup_parse(jg_dedup_name(modes[i]), strlen(jg_dedup_name(modes[i])), &parsed));
        assert_int_equal(parsed, modes[i]);
    }
    enum jg_dedup unused;
    assert_false(jg_dedup_parse("until", 5, &unused));
    assert_false(jg_dedup_parse("none ", 5, &unused));
    assert_false(jg_dedup_parse("", 0, &unused));
    assert_string_equal(jg_claim_state_name(JG_CLAIM_PROVISIONAL), "provisional");
    assert_string_equal(jg_claim_state_name(JG_CLAIM_RUNNING), "running");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_key_never_changes),
        cmocka_unit_test(the_parts_of_a_key_cannot_flow_into_each_other),
        cmocka_unit_test(a_jid_is_new_each_time_and_begins_with_its_key),
        cmocka_unit_test(a_forked_child_makes_other_jids_than_its_parent),
        cmocka_unit_test(only_what_a_plugin_made_has_the_form_of_a_jid),
        cmocka_unit_test(the_jids_of_a_chain_count_up_from_its_first),
        cmocka_unit_test(a_dedup_mode_is_read_back_from_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
