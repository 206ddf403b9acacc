/* SPDX-License-Identifier: Apache-2.0 */
/* Follow-ups: of the duplicates that come while a job runs, the latest runs after it, once. */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LETTERS 26
#define DONE_TTL_MS 600000

/* Numbers of follow-ups, by letter; 0: it is none. */
static int64_t numbers[LETTERS];

static struct jg_op
claim_follow_up(char letter)
{
    struct jg_op op = operation(JG_OP_CLAIM, letter);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.follows_up = true;
    op = done(op);
    numbers[letter - 'a'] = op.follow_up;
    return op;
}

static bool
confirm_follow_up(char letter)
{
    struct jg_op op = operation(JG_OP_CONFIRM, letter);
    op.follow_up = numbers[letter - 'a'];
    return done(op).changed;
}

static struct jg_op
coming(char letter, char original, unsigned instance)
{
    struct jg_op op = operation(JG_OP_ADMIT, letter);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.member = member_of(op.jid, instance);
    op.done_ttl_ms = DONE_TTL_MS;
    op.follow_up = numbers[letter - 'a'];
    op.candidate_of = op.follow_up ? job(original) : NULL;
    return op;
}

static struct jg_op
admit_follow_up(char letter, char original)
{
    return done(coming(letter, original, 1));
}

static struct jg_op
ending(char letter)
{
    struct jg_op op = operation(JG_OP_COMPLETE, letter);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.follows_up = true;
    op.done_ttl_ms = DONE_TTL_MS;
    return op;
}

static void
fail_delivery(char letter)
{
    struct jg_op op = operation(JG_OP_RELEASE, letter);
    op.follows_up = true;
    (void)done(op);
}

/* May these go, all held as follow-ups? The answers, a letter each. */
static const char *
take_follow_ups(const char *letters)
{
    static char answers[17];
    static const bool follow_ups[16] = {true, true, true, true, true, true, true, true};
    const char *items[16];
    unsigned char grants[16];
    struct jg_op op = operation(JG_OP_TAKE, 'a');
    memset(answers, 0, sizeof answers);
    for (; letters[op.item_count]; op.item_count++)
        items[op.item_count] = job(letters[op.item_count]);
    op.items = items;
    op.follow_ups = follow_ups;
    op.follow_ups_in = op.held_in = (int64_t)op.item_count;
    op.grants = grants;
    op = done(op);
    for (size_t i = 0; i < op.item_count; i++)
        answers[i] = grants[i] == JG_GRANT_YES ? 'y' : grants[i] == JG_GRANT_KEY ? 'k' : 'n';
    return answers;
}

/* Job `a` runs. */
static void
run_original(void)
{
    memset(numbers, 0, sizeof numbers);
    arrange(JG_CLAIM_RUNNING, EXECUTED);
    tell(0, 0);
}

void
a_duplicate_of_a_running_job_is_a_numbered_candidate(void **state)
{
    (void)state;
    run_original();
    for (char letter = 'b'; letter < 'e'; letter++)
        expect_claimed(claim_follow_up(letter), JG_CANDIDATE, 'a', JG_CLAIM_RUNNING);
    assert_true(numbers['b' - 'a'] > 0 && numbers['b' - 'a'] < numbers['c' - 'a'] &&
                numbers['c' - 'a'] < numbers['d' - 'a']);
    int64_t number = numbers['d' - 'a'];
    expect_claimed(claim_follow_up('d'), JG_CANDIDATE, 'a', JG_CLAIM_RUNNING);
    assert_int_equal(numbers['d' - 'a'], number);
    assert_int_equal(report().duplicates, 3);
    assert_int_equal(counter("candidates"), 3);
    /* Whoever does not want one gets none. */
    expect_claimed(claim('e', EXECUTED), JG_DUPLICATE, 'a', JG_CLAIM_RUNNING);
}

void
a_duplicate_of_a_job_that_waits_is_no_follow_up(void **state)
{
    (void)state;
    arrange(JG_CLAIM_QUEUED, EXECUTED);
    expect_claimed(claim_follow_up('b'), JG_DUPLICATE, 'a', JG_CLAIM_QUEUED);
    assert_int_equal(numbers['b' - 'a'], 0);
}

void
the_latest_follow_up_runs_once_after_its_original(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    (void)claim_follow_up('c');
    (void)claim_follow_up('d');
    assert_true(confirm_follow_up('d'));
    assert_false(confirm_follow_up('c'));
    assert_string_equal(report().newest_follow_up, job('d'));
    expect_skip(admit_follow_up('c', 'a'), 'd');
    expect_hold(admit_follow_up('d', 'a'), JG_REASON_FOLLOW_UP);
    assert_string_equal(take_follow_ups("bd"), "yk");
    expect_skip(admit_follow_up('b', 'a'), 'd');
    assert_true(done(ending('a')).changed);
    expect_claim(JG_CLAIM_QUEUED, 'd');
    assert_string_equal(take_follow_ups("d"), "y");
    expect_run(admit_follow_up('d', 'a'));
    expect_claim(JG_CLAIM_RUNNING, 'd');
    assert_true(done(ending('d')).changed);
    expect_no_claim();
    assert_int_equal(counter("follow_ups"), 1);
    /* What comes up late, or once more, changes nothing. */
    expect_skip(admit_follow_up('b', 'a'), 'd');
    assert_int_equal(done(coming('d', 'a', 2)).reason, JG_REASON_DONE);
    assert_int_equal(done(coming('a', 'a', 2)).reason, JG_REASON_DONE);
    expect_no_claim();
}

void
a_follow_up_that_comes_up_after_its_original_runs_at_once(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    assert_true(confirm_follow_up('b'));
    assert_true(done(ending('a')).changed);
    expect_claimed(claim('z', EXECUTED), JG_DUPLICATE, 'b', JG_CLAIM_QUEUED);
    expect_run(admit_follow_up('b', 'a'));
}

void
a_follow_up_waits_for_a_newer_one_that_may_come_within_bounds(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    assert_true(confirm_follow_up('b'));
    (void)claim_follow_up('c');
    assert_true(done(ending('a')).changed);
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    assert_string_equal(take_follow_ups("b"), "k");
    expect_claim(JG_CLAIM_HELD, 'b');
    subject_advance(&subject, PROVISIONAL_MS);
    assert_string_equal(take_follow_ups("b"), "y");
    expect_run(admit_follow_up('b', 'a'));
}

void
a_newer_follow_up_takes_the_claim_of_one_that_did_not_start(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    assert_true(confirm_follow_up('b'));
    (void)claim_follow_up('c');
    (void)claim_follow_up('d');
    assert_true(done(ending('a')).changed);
    expect_claim(JG_CLAIM_QUEUED, 'b');
    assert_true(confirm_follow_up('c'));
    expect_claim(JG_CLAIM_QUEUED, 'c');
    expect_run(admit_follow_up('d', 'a')); /* it is there, acknowledged or not */
    expect_claim(JG_CLAIM_RUNNING, 'd');
    expect_skip(admit_follow_up('b', 'a'), 'd');
    expect_skip(admit_follow_up('c', 'a'), 'd');
    assert_false(confirm_follow_up('d'));
    expect_claim(JG_CLAIM_RUNNING, 'd');
}

void
a_follow_up_whose_delivery_failed_is_waited_for_no_more(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    assert_true(confirm_follow_up('b'));
    (void)claim_follow_up('c');
    fail_delivery('c');
    assert_true(done(ending('a')).changed);
    expect_run(admit_follow_up('b', 'a'));
}

void
a_follow_up_has_one_of_its_own(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    assert_true(confirm_follow_up('b'));
    assert_true(done(ending('a')).changed);
    expect_run(admit_follow_up('b', 'a'));
    expect_claimed(claim_follow_up('c'), JG_CANDIDATE, 'b', JG_CLAIM_RUNNING);
    expect_hold(admit_follow_up('c', 'b'), JG_REASON_FOLLOW_UP);
    /* It is delivered again, and does not wait for that. */
    expect_run(done(coming('b', 'a', 2)));
    struct jg_op ended = ending('b');
    ended.member = member_of(ended.jid, 2);
    assert_true(done(ended).changed);
    expect_claim(JG_CLAIM_QUEUED, 'c');
    expect_run(admit_follow_up('c', 'b'));
}

void
an_original_that_is_delivered_again_runs_while_its_follow_up_waits(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    expect_run(done(coming('a', 'a', 2)));
    assert_string_equal(take_follow_ups("b"), "k");
    struct jg_op ended = ending('a');
    (void)done(ended); /* of the run that is no more */
    expect_claim(JG_CLAIM_RUNNING, 'a');
    ended.member = member_of(ended.jid, 2);
    (void)done(ended);
    expect_claim(JG_CLAIM_QUEUED, 'b');
}

void
an_original_that_is_held_when_it_is_delivered_again_goes_before_its_follow_up(void **state)
{
    (void)state;
    run_original();
    tell(1, 0);
    (void)claim_follow_up('b');
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    struct jg_op again = coming('a', 'a', 2);
    again.limit = 1;
    expect_hold(done(again), JG_REASON_LIMIT);
    expect_claim(JG_CLAIM_HELD, 'a');
    subject_advance(&subject, RUN_TTL_MS);
    assert_string_equal(take_follow_ups("b"), "k");
    assert_int_equal(take("a", 2).granted, 1);
    again.resumed = true;
    expect_run(done(again));
}

void
a_follow_up_does_the_work_of_an_original_whose_run_died(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    subject_advance(&subject, RUN_TTL_MS);
    assert_string_equal(take_follow_ups("b"), "y");
    expect_run(admit_follow_up('b', 'a'));
    assert_int_equal(done(coming('a', 'a', 2)).reason, JG_REASON_DONE);
}

void
held_follow_ups_stand_in_nobodys_way(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    struct jg_op other = operation(JG_OP_ADMIT, 'a');
    other.key = key_of(1);
    other.jid = jid_of(1, 1);
    other.member = member_of(other.jid, 1);
    other.limit = 3;
    expect_run(done(other));
    assert_string_equal(take_follow_ups("b"), "k"); /* as counted by the resumer, likewise */
    other.jid = jid_of(1, 2);
    other.member = member_of(other.jid, 1);
    expect_run(done(other));
}

void
a_follow_up_takes_the_place_of_a_successor(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    assert_true(confirm_follow_up('b'));
    struct jg_op ended = ending('a');
    ended.capacity = 5;
    ended = done(ended);
    assert_true(ended.changed);
    assert_string_equal(ended.next, "");
    expect_claim(JG_CLAIM_QUEUED, 'b');
}

void
a_follow_up_that_is_buried_is_nobodys_heir(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    struct jg_op buried = operation(JG_OP_BURY, 'b');
    buried.follow_up = numbers['b' - 'a'];
    (void)done(buried);
    assert_true(done(ending('a')).changed);
    expect_no_claim();
}

/* Job `b` follows up `a` and is on its way when that ends; then comes `e`. */
static void
claim_behind_a_late_follow_up(void)
{
    run_original();
    (void)claim_follow_up('b');
    assert_true(done(ending('a')).changed);
    assert_int_equal(claim_follow_up('e').claimed, JG_ORIGINAL);
}

void
a_follow_up_that_was_skipped_for_a_newer_job_is_not_its_heir(void **state)
{
    (void)state;
    claim_behind_a_late_follow_up();
    assert_true(confirm_follow_up('e'));
    assert_true(confirm_follow_up('b'));
    expect_skip(admit_follow_up('b', 'a'), 'e');
    expect_run(admit_follow_up('e', 'e'));
    expect_claimed(claim_follow_up('f'), JG_CANDIDATE, 'e', JG_CLAIM_RUNNING);
    fail_delivery('f');
    assert_true(done(ending('e')).changed);
    expect_no_claim();
}

void
a_follow_up_that_is_held_does_not_run_after_a_newer_job(void **state)
{
    (void)state;
    claim_behind_a_late_follow_up();
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    assert_true(confirm_follow_up('e'));
    assert_string_equal(take_follow_ups("b"), "k");
    expect_run(admit_follow_up('e', 'e'));
    assert_string_equal(take_follow_ups("b"), "y");
    assert_true(done(ending('e')).changed);
    expect_no_claim();
    expect_skip(admit_follow_up('b', 'a'), 'e');
}

void
a_follow_up_is_known_for_as_long_as_its_original_runs(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    for (int i = 0; i <= TTL_MS / (RUN_TTL_MS / 2); i++) {
        subject_advance(&subject, RUN_TTL_MS / 2);
        assert_true(renew_on('a', 1, 0).changed);
    }
    assert_true(done(ending('a')).changed);
    expect_claim(JG_CLAIM_QUEUED, 'b');
}

void
a_follow_up_waits_for_a_lease_since_it_stands_for_others(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    subject_advance(&subject, RUN_TTL_MS);
    struct jg_op other = operation(JG_OP_ADMIT, 'a');
    other.key = key_of(1);
    other.jid = jid_of(1, 1);
    other.member = member_of(other.jid, 1);
    other.lease = JG_LEASE_CLASS;
    expect_run(done(other));
    struct jg_op op = coming('b', 'a', 1);
    op.lease = JG_LEASE_CLASS;
    op.lease_skips = true;
    expect_hold(done(op), JG_REASON_LEASE);
    assert_int_equal(done(coming('a', 'a', 2)).reason, JG_REASON_DONE);
    expect_claim(JG_CLAIM_HELD, 'b');
}

void
a_store_that_lost_its_data_loses_no_follow_up(void **state)
{
    (void)state;
    run_original();
    int64_t epoch = admit_on('a', 1).epoch;
    (void)claim_follow_up('b');
    assert_true(confirm_follow_up('b'));
    (void)claim_follow_up('c');
    subject_lose(&subject);
    /* Its original may yet put its claim back. */
    struct jg_op op = done(coming('c', 'a', 1));
    expect_later(op, JG_REASON_GRACE);
    op = operation(JG_OP_RENEW, 'a');
    op.follows_up = true;
    op.epoch_in = epoch;
    assert_true(done(op).changed);
    expect_claim(JG_CLAIM_RUNNING, 'a');
    expect_hold(admit_follow_up('b', 'a'), JG_REASON_FOLLOW_UP);
    expect_hold(admit_follow_up('c', 'a'), JG_REASON_FOLLOW_UP);
    assert_true(done(ending('a')).changed);
    expect_claim(JG_CLAIM_QUEUED, 'c');
    expect_skip(admit_follow_up('b', 'a'), 'c');
    expect_run(admit_follow_up('c', 'a'));
}

void
a_claim_that_comes_back_goes_to_no_follow_up_that_ran(void **state)
{
    (void)state;
    run_original();
    int64_t epoch = admit_on('a', 1).epoch;
    (void)claim_follow_up('b');
    subject_lose(&subject);
    struct jg_op op = coming('b', 'a', 1);
    op.fresh = JG_FRESH_ALWAYS;
    expect_run(done(op));
    assert_true(done(ending('b')).changed);
    op = operation(JG_OP_RENEW, 'a');
    op.follows_up = true;
    op.epoch_in = epoch;
    assert_true(done(op).changed);
    assert_true(done(ending('a')).changed);
    expect_no_claim();
}

void
follow_ups_are_numbered_on_after_a_rewind(void **state)
{
    (void)state;
    run_original();
    int64_t epoch = admit_on('a', 1).epoch;
    (void)claim_follow_up('b');
    subject_snapshot(&subject);
    (void)claim_follow_up('c');
    assert_true(confirm_follow_up('c'));
    subject_rewind(&subject);
    expect_claimed(claim_follow_up('d'), JG_CANDIDATE, 'a', JG_CLAIM_PROVISIONAL);
    assert_true(numbers['d' - 'a'] > numbers['c' - 'a']);
    assert_true(renew_on('a', 1, epoch).changed);
    expect_hold(admit_follow_up('c', 'a'), JG_REASON_FOLLOW_UP);
    expect_hold(admit_follow_up('d', 'a'), JG_REASON_FOLLOW_UP);
    assert_true(done(ending('a')).changed);
    expect_claim(JG_CLAIM_QUEUED, 'd');
    expect_skip(admit_follow_up('b', 'a'), 'd');
}

/* The server that had given them was ahead by an hour; what it knew is gone. */
void
follow_ups_are_numbered_on_by_a_server_whose_clock_is_behind(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    numbers['b' - 'a'] += INT64_C(3600) * 1000 * 1000;
    subject_lose(&subject);
    struct jg_op op = coming('b', 'a', 1);
    op.fresh = JG_FRESH_ALWAYS;
    expect_run(done(op));
    expect_claimed(claim_follow_up('c'), JG_CANDIDATE, 'b', JG_CLAIM_RUNNING);
    assert_true(numbers['c' - 'a'] > numbers['b' - 'a']);
    expect_hold(admit_follow_up('c', 'b'), JG_REASON_FOLLOW_UP);
}

void
without_a_store_that_knows_a_follow_up_runs(void **state)
{
    (void)state;
    run_original();
    (void)claim_follow_up('b');
    subject_lose(&subject);
    subject_advance(&subject, GRACE_MS);
    subject_new_epoch(&subject);
    struct jg_op op = coming('b', 'a', 1);
    op.fresh = JG_FRESH_ALWAYS;
    expect_run(done(op));
    expect_claim(JG_CLAIM_RUNNING, 'b');
}
