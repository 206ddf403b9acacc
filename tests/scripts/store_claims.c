/* SPDX-License-Identifier: Apache-2.0 */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define PROVISIONAL JG_CLAIM_PROVISIONAL
#define QUEUED JG_CLAIM_QUEUED

static void
expect_counter(const char *name, int64_t value)
{
    assert_int_equal(counter(name), value);
}

void
a_claim_asked_for_again_is_the_same_claim(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    subject_advance(&subject, 10000);
    int64_t since_ms = report().since_ms;
    expect_claimed(claim('a', EXECUTING), JG_ORIGINAL, 0, JG_CLAIM_NONE);
    assert_int_equal(report().since_ms, since_ms);
    assert_in_range(report().ttl_ms, 1, PROVISIONAL_MS - 10000);
    expect_counter("claimed", 1);
}

void
a_duplicate_asked_for_again_counts_once(void **state)
{
    (void)state;
    arrange(QUEUED, EXECUTING);
    for (int i = 0; i < 3; i++)
        expect_claimed(claim('b', EXECUTING), JG_DUPLICATE, 'a', QUEUED);
    assert_int_equal(report().duplicates, 1);
    expect_counter("duplicates", 1);
    expect_claimed(claim('c', EXECUTING), JG_DUPLICATE, 'a', QUEUED);
    assert_int_equal(report().duplicates, 2);
}

void
a_candidate_asked_for_again_counts_once(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    for (int i = 0; i < 3; i++)
        expect_claimed(claim('b', EXECUTING), JG_CANDIDATE, 'a', PROVISIONAL);
    assert_int_equal(report().duplicates, 1);
    expect_counter("candidates", 1);
    assert_string_equal(report().newest_candidate, job('b'));
}

/* The first answer was lost, the second says duplicate: the message will never be sent. */
void
a_candidate_that_turns_duplicate_is_no_heir(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    expect_claimed(claim('b', EXECUTING), JG_CANDIDATE, 'a', PROVISIONAL);
    assert_true(confirm('a'));
    expect_claimed(claim('b', EXECUTING), JG_DUPLICATE, 'a', QUEUED);
    assert_true(release('a'));
    expect_no_claim();
}

void
confirming_never_creates_a_claim(void **state)
{
    (void)state;
    assert_false(confirm('a'));
    expect_no_claim();
    arrange(PROVISIONAL, EXECUTING);
    expect_run(admit('a', EXECUTING));
    assert_false(confirm('a'));
    assert_false(keep('a'));
    expect_no_claim();
}

void
a_candidate_that_is_no_longer_the_newest_is_not_remembered(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    (void)claim('b', EXECUTING);
    (void)claim('c', EXECUTING);
    assert_false(confirm('b'));
    assert_string_equal(report().newest_acked_candidate, "");
    assert_true(confirm('c'));
    assert_string_equal(report().newest_acked_candidate, job('c'));
    assert_false(confirm('c'));
}

void
a_released_claim_goes_to_the_newest_candidate(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    (void)claim('b', EXECUTING);
    (void)claim('c', EXECUTING);
    subject_advance(&subject, PROVISIONAL_MS - 5000);
    assert_true(release('a'));
    expect_claim(PROVISIONAL, 'c');
    assert_in_range(report().ttl_ms, PROVISIONAL_MS - 4000, PROVISIONAL_MS);
    assert_string_equal(report().newest_candidate, "");
    expect_counter("passed", 1);
    expect_counter("released", 0);
    /* It is now its own, to be confirmed and to turn away. */
    assert_true(confirm('c'));
    expect_claimed(claim('d', EXECUTING), JG_DUPLICATE, 'c', QUEUED);
}

void
a_released_claim_is_queued_when_its_heir_was_acknowledged(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    (void)claim('b', EXECUTING);
    assert_true(confirm('b'));
    assert_true(release('a'));
    expect_claim(QUEUED, 'b');
    assert_in_range(report().ttl_ms, TTL_MS - 5000, TTL_MS);
    assert_string_equal(report().newest_acked_candidate, "");
}

void
a_released_claim_goes_to_the_acknowledged_candidate_when_the_newest_failed(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    (void)claim('b', EXECUTING);
    assert_true(confirm('b'));
    (void)claim('c', EXECUTING);
    assert_true(release('c'));
    assert_true(release('a'));
    expect_claim(QUEUED, 'b');
}

void
a_released_claim_ends_when_all_candidates_failed(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    (void)claim('b', EXECUTING);
    assert_true(confirm('b'));
    assert_true(release('b'));
    assert_true(release('a'));
    expect_no_claim();
    expect_counter("released", 1);
}

void
releasing_again_changes_nothing(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    (void)claim('b', EXECUTING);
    assert_true(release('a'));
    assert_false(release('a'));
    expect_claim(PROVISIONAL, 'b');
}

void
a_claim_passed_on_while_acknowledged_survives_the_newest_failing(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    (void)claim('b', EXECUTING);
    assert_true(confirm('b'));
    (void)claim('c', EXECUTING);
    assert_true(release('a'));
    expect_claim(PROVISIONAL, 'c');
    assert_string_equal(report().newest_acked_candidate, job('b'));
    assert_true(release('c'));
    expect_claim(QUEUED, 'b');
}

void
only_the_owner_changes_a_claim(void **state)
{
    (void)state;
    for (int in = PROVISIONAL; in <= JG_CLAIM_RUNNING; in++) {
        subject_flush(&subject);
        arrange((enum jg_claim_state)in, EXECUTED);
        assert_false(confirm('b'));
        assert_false(keep('b'));
        assert_false(release('b'));
        expect_run(admit('b', EXECUTING));
        expect_run(admit_on('b', 1));
        (void)renew_on('b', 1, 1);
        assert_true(complete_on('b', 1));
        expect_claim((enum jg_claim_state)in, 'a');
    }
}

void
a_provisional_claim_is_gone_after_its_time(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    subject_advance(&subject, PROVISIONAL_MS - 5000);
    expect_claim(PROVISIONAL, 'a');
    subject_advance(&subject, 5000);
    expect_no_claim();
    expect_claimed(claim('b', EXECUTING), JG_ORIGINAL, 0, JG_CLAIM_NONE);
}

void
a_queued_claim_is_gone_after_its_time(void **state)
{
    (void)state;
    arrange(QUEUED, EXECUTING);
    subject_advance(&subject, TTL_MS - 5000);
    expect_claimed(claim('b', EXECUTING), JG_DUPLICATE, 'a', QUEUED);
    subject_advance(&subject, 5000);
    expect_claimed(claim('b', EXECUTING), JG_ORIGINAL, 0, JG_CLAIM_NONE);
}

struct list {
    size_t count;
    struct jg_duplicate_report entries[150];
};

static void
collect(void *opaque, const struct jg_duplicate_report *duplicate)
{
    struct list *list = opaque;
    list->entries[list->count++] = *duplicate;
}

void
the_last_hundred_duplicates_are_kept(void **state)
{
    (void)state;
    static struct list list;
    list.count = 0;
    arrange(PROVISIONAL, EXECUTED);
    (void)claim('b', EXECUTED);
    assert_true(confirm('a'));
    for (unsigned i = 0; i < 120; i++) {
        struct jg_op op = operation(JG_OP_CLAIM, 'a');
        op.jid = jid_of(0, 100 + i);
        op.action = JG_DUP_REJECT;
        assert_int_equal(done(op).claimed, JG_DUPLICATE);
        if (i == 50) {
            assert_int_equal(jg_store_duplicates(subject.store, subject.class_name, collect, &list), JG_OK);
            assert_int_equal(list.count, 52);
            assert_true(list.entries[51].candidate);
            assert_string_equal(list.entries[51].jid, job('b'));
            assert_int_equal(list.entries[51].original_state, PROVISIONAL);
            assert_int_equal(list.entries[51].action, JG_DUP_MARK);
            list.count = 0;
        }
    }
    assert_int_equal(jg_store_duplicates(subject.store, subject.class_name, collect, &list), JG_OK);
    assert_int_equal(list.count, 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_string_equal(list.entries[i].jid, jid_of(0, 100 + 119 - i));
        assert_string_equal(list.entries[i].original, job('a'));
        assert_int_equal(list.entries[i].original_state, QUEUED);
        assert_int_equal(list.entries[i].action, JG_DUP_REJECT);
        assert_false(list.entries[i].candidate);
        assert_true(list.entries[i].at_ms > 1600000000000);
    }
    assert_int_equal(report().duplicates, 121);
}

void
every_operation_is_counted(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTED);
    (void)claim('b', EXECUTED);
    (void)release('a');
    (void)confirm('b');
    (void)claim('c', EXECUTED);
    (void)admit_on('b', 1);
    expect_skip(admit_candidate('d', EXECUTED, 'b'), 'b');
    (void)complete_on('b', 1);
    (void)claim('e', EXECUTED);
    (void)release('e');
    expect_counter("claimed", 2);
    expect_counter("duplicates", 1);
    expect_counter("candidates", 1);
    expect_counter("confirmed", 1);
    expect_counter("passed", 1);
    expect_counter("released", 1);
    expect_counter("admitted", 1);
    expect_counter("skipped", 1);
    expect_counter("completed", 1);
}

struct names {
    const char *const *wanted;
    unsigned seen[8];
};

static void
look_for(void *opaque, const char *class_name)
{
    struct names *names = opaque;
    for (size_t i = 0; names->wanted[i]; i++)
        names->seen[i] += strcmp(names->wanted[i], class_name) == 0;
}

void
classes_are_listed_and_never_mixed_up(void **state)
{
    (void)state;
    static char long_one[300], long_other[300];
    memset(long_one, 'x', 299);
    memset(long_other, 'x', 299);
    long_other[298] = 'y';
    const char *const names[] = {"Mail::Send", "Mail-3a-3aSend", "Mail{a}", "M\xc3\xa4il *?[x]",
                                 long_one,     long_other,       NULL};
    struct names found = {.wanted = names};
    for (size_t i = 0; names[i]; i++) {
        struct jg_op op = operation(JG_OP_CLAIM, (char)('a' + i));
        op.class_name = names[i];
        op.key = key_of((unsigned)jg_clock_us());
        struct jg_class_report before, after;
        assert_int_equal(jg_store_class_report(subject.store, names[i], &before), JG_OK);
        assert_int_equal(done(op).claimed, JG_ORIGINAL);
        assert_int_equal(jg_store_class_report(subject.store, names[i], &after), JG_OK);
        assert_int_equal(after.claims, before.claims + 1);
        assert_int_equal(after.counters[0].value, before.counters[0].value + 1);
    }
    assert_int_equal(jg_store_classes(subject.store, look_for, &found), JG_OK);
    for (size_t i = 0; names[i]; i++)
        assert_int_equal(found.seen[i], 1);
}

void
operations_of_one_call_are_carried_out_in_order(void **state)
{
    (void)state;
    arrange(JG_CLAIM_RUNNING, EXECUTED);
    struct jg_op ops[3] = {operation(JG_OP_COMPLETE, 'a'), operation(JG_OP_CLAIM, 'b'), operation(JG_OP_CLAIM, 'c')};
    assert_int_equal(jg_store_exec(subject.store, ops, 3), JG_OK);
    assert_true(ops[0].changed);
    assert_int_equal(ops[1].claimed, JG_ORIGINAL);
    assert_int_equal(ops[2].claimed, JG_CANDIDATE);
    assert_string_equal(ops[2].original, job('b'));
}

void
a_malformed_operation_is_refused(void **state)
{
    (void)state;
    struct jg_op good = operation(JG_OP_ADMIT, 'a');
    struct jg_op bad[] = {good, good, good, good, good, good};
    bad[0].key = "short";
    bad[1].jid = "";
    bad[2].member = NULL;
    bad[3].candidate_of = "not a jid";
    bad[4].dedup_ttl_ms = 0;
    bad[5].class_name = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct jg_op ops[2] = {operation(JG_OP_CLAIM, 'a'), bad[i]};
        assert_int_equal(jg_store_exec(subject.store, ops, 2), JG_EINVAL);
        expect_no_claim();
    }
}
