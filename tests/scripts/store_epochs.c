/* SPDX-License-Identifier: Apache-2.0 */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PROVISIONAL JG_CLAIM_PROVISIONAL
#define QUEUED JG_CLAIM_QUEUED
#define RUNNING JG_CLAIM_RUNNING

void
a_claim_of_an_older_epoch_turns_nothing_away(void **state)
{
    (void)state;
    for (int in = PROVISIONAL; in <= RUNNING; in++) {
        subject_flush(&subject);
        arrange((enum jg_claim_state)in, EXECUTED);
        subject_new_epoch(&subject);
        assert_true(report().old_epoch);
        expect_claimed(claim('b', EXECUTED), JG_CANDIDATE, 'a', PROVISIONAL);
        expect_run(admit_candidate('b', EXECUTED, 'a'));
    }
}

void
a_claim_of_an_older_epoch_is_not_confirmed(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    subject_new_epoch(&subject);
    assert_false(confirm('a'));
    expect_claim(PROVISIONAL, 'a');
    /* It may still be kept and released. */
    assert_true(keep('a'));
    assert_true(release('a'));
    expect_no_claim();
}

/* That the acknowledged candidate was admitted may be among what was lost. */
void
a_claim_of_an_older_epoch_is_passed_on_as_provisional(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    (void)claim('b', EXECUTING);
    assert_true(confirm('b'));
    subject_snapshot(&subject);
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    subject_rewind(&subject);
    assert_true(release('a'));
    expect_claim(PROVISIONAL, 'b');
    assert_true(report().old_epoch);
    assert_in_range(report().ttl_ms, 1, PROVISIONAL_MS);
    assert_false(confirm('b'));
    expect_claimed(claim('c', EXECUTING), JG_CANDIDATE, 'b', PROVISIONAL);
}

void
an_epoch_is_always_larger_than_the_one_before(void **state)
{
    (void)state;
    int64_t before = admit('a', EXECUTING).epoch;
    assert_int_equal(admit('a', EXECUTING).epoch, before);
    for (int i = 0; i < 3; i++) {
        subject_new_epoch(&subject);
        int64_t after = admit('a', EXECUTING).epoch;
        assert_true(after > before);
        assert_int_equal(admit('a', EXECUTING).epoch, after);
        before = after;
    }
    subject_flush(&subject);
    assert_true(admit('a', EXECUTING).epoch > before);
}

void
a_run_comes_back_after_its_member_was_lost(void **state)
{
    (void)state;
    arrange(RUNNING, EXECUTED);
    int64_t epoch = admit_on('a', 1).epoch;
    subject_flush(&subject);
    struct jg_op renewed = renew_on('a', 1, epoch);
    assert_true(renewed.changed);
    assert_true(renewed.epoch > epoch);
    expect_no_claim();
    /* Known by its new epoch, it is a run like any other. */
    assert_true(renew_on('a', 1, renewed.epoch).changed);
    subject_advance(&subject, RUN_TTL_MS);
    assert_false(renew_on('a', 1, renewed.epoch).changed);
}

void
a_running_claim_counts_again_once_renewed(void **state)
{
    (void)state;
    arrange(RUNNING, EXECUTED);
    int64_t epoch = admit_on('a', 1).epoch;
    subject_new_epoch(&subject);
    assert_true(renew_on('a', 1, epoch).changed);
    assert_false(report().old_epoch);
    expect_claimed(claim('b', EXECUTED), JG_DUPLICATE, 'a', RUNNING);
    assert_true(complete_on('a', 1));
    expect_no_claim();
}

/* Promise 5 across a restore: the job ran, the store has forgotten that, and its claim must drop nothing. */
void
a_rewound_claim_of_a_job_that_ran_drops_nothing(void **state)
{
    (void)state;
    arrange(QUEUED, EXECUTING);
    subject_snapshot(&subject);
    expect_run(admit('a', EXECUTING));
    subject_rewind(&subject);
    expect_claim(QUEUED, 'a');
    assert_false(confirm('a'));
    expect_claimed(claim('b', EXECUTING), JG_CANDIDATE, 'a', PROVISIONAL);
    assert_false(confirm('a'));
    expect_run(admit_candidate('b', EXECUTING, 'a'));
}

void
a_candidate_of_a_rewound_claim_runs(void **state)
{
    (void)state;
    arrange(PROVISIONAL, EXECUTING);
    (void)claim('b', EXECUTING);
    subject_snapshot(&subject);
    assert_true(confirm('a'));
    expect_run(admit('a', EXECUTING));
    subject_rewind(&subject);
    assert_false(was('a'));
    expect_run(admit_candidate('b', EXECUTING, 'a'));
}

void
an_until_executing_job_is_not_dropped_for_a_rewound_run(void **state)
{
    (void)state;
    arrange(RUNNING, EXECUTED);
    subject_new_epoch(&subject);
    /* Running, as far as the store knows: that turns nothing of this mode away, and cannot come back. */
    expect_claimed(claim('b', EXECUTING), JG_ORIGINAL, 0, JG_CLAIM_NONE);
    (void)renew_on('a', 1, 1);
    expect_claim(PROVISIONAL, 'b');
    assert_true(complete_on('a', 1));
    expect_claim(PROVISIONAL, 'b');
}

void
an_empty_store_knows_nothing(void **state)
{
    (void)state;
    struct jg_class_report found;
    assert_int_equal(jg_store_class_report(subject.store, subject.class_name, &found), JG_OK);
    assert_int_equal(found.claims, 0);
    assert_int_equal(found.running, 0);
    assert_int_equal(found.counter_count, JG_TALLIES);
    for (size_t i = 0; i < found.counter_count; i++)
        assert_int_equal(found.counters[i].value, 0);
    expect_no_claim();
    assert_false(was('a'));
}
