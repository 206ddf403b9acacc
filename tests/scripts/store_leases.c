/* SPDX-License-Identifier: Apache-2.0 */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DONE_TTL_MS 600000

/* What a class with a lease adds to an operation. */
static struct jg_op
leased(enum jg_op_kind kind, char letter, unsigned instance, enum jg_lease lease)
{
    struct jg_op op = operation(kind, letter);
    op.member = member_of(op.jid, instance);
    op.lease = lease;
    op.done_ttl_ms = kind == JG_OP_RENEW ? 0 : DONE_TTL_MS;
    return op;
}

static struct jg_op
admit_leased(char letter, unsigned instance, bool skips)
{
    struct jg_op op = leased(JG_OP_ADMIT, letter, instance, JG_LEASE_CLASS);
    op.lease_skips = skips;
    return done(op);
}

static struct jg_op
renew_leased(char letter, unsigned instance, int64_t epoch, int64_t token)
{
    struct jg_op op = leased(JG_OP_RENEW, letter, instance, JG_LEASE_CLASS);
    op.epoch_in = epoch;
    op.token_in = token;
    return done(op);
}

static struct jg_op
complete_leased(char letter, unsigned instance)
{
    return done(leased(JG_OP_COMPLETE, letter, instance, JG_LEASE_CLASS));
}

static void
expect_skipped(struct jg_op op, enum jg_reason reason)
{
    assert_int_equal(op.verdict, JG_SKIP);
    assert_string_equal(jg_reason_name(op.reason), jg_reason_name(reason));
    assert_string_equal(op.original, "");
    assert_true(op.token == 0 && op.epoch > 0);
}

/* One of job keys, of the key of that number. */
static struct jg_op
admit_key(unsigned key, unsigned number)
{
    struct jg_op op = leased(JG_OP_ADMIT, 'a', 1, JG_LEASE_KEY);
    op.key = key_of(key);
    op.jid = jid_of(key, number);
    op.member = member_of(op.jid, 1);
    return done(op);
}

void
a_lease_is_given_to_one_run_at_a_time(void **state)
{
    (void)state;
    struct jg_op op = admit_leased('a', 1, false);
    expect_run(op);
    assert_true(op.token > 0);
    expect_hold(admit_leased('b', 2, false), JG_REASON_LEASE);
    struct jg_op again = admit_leased('a', 1, false);
    expect_run(again);
    assert_true(again.token == op.token);
    assert_int_equal(class_report().running, 1);
    assert_true(complete_leased('a', 1).changed);
    assert_int_equal(class_report().running, 0);
    subject_advance(&subject, 1000);
    (void)take("", 0);
    expect_run(admit_leased('b', 2, false));
}

void
each_job_key_has_a_lease_of_its_own(void **state)
{
    (void)state;
    struct jg_op first = admit_key(1, 1), other = admit_key(2, 1);
    expect_run(first);
    expect_run(other);
    assert_true(first.token > 0 && other.token > 0);
    expect_hold(admit_key(1, 2), JG_REASON_LEASE);
    assert_int_equal(class_report().running, 2);
}

void
a_class_without_a_lease_gives_no_token(void **state)
{
    (void)state;
    struct jg_op op = admit_limited('a', 2);
    expect_run(op);
    assert_true(op.token == 0);
    /* The settings say otherwise since: what runs goes on without. */
    op = admit_leased('a', 1, true);
    expect_run(op);
    assert_true(op.token == 0);
    assert_true(renew_leased('a', 1, op.epoch, op.token).changed);
}

void
a_token_is_larger_than_any_before(void **state)
{
    (void)state;
    int64_t last = 0;
    for (int round = 0; round < 20; round++) {
        struct jg_op op = admit_leased('a', 1, true);
        expect_run(op);
        assert_true(op.token > last);
        last = op.token;
        /* What follows takes longer than this, in life. */
        for (int ms = 0; ms < 5; ms++)
            subject_pause();
        if (round % 4 == 0)
            subject_advance(&subject, RUN_TTL_MS + 1000);
        else if (round % 4 == 1)
            subject_advance(&subject, 7200000); /* even the record of it is gone */
        else if (round % 4 == 2)
            subject_lose(&subject);
        else {
            struct jg_op complete = leased(JG_OP_COMPLETE, 'a', 1, JG_LEASE_CLASS);
            complete.done_ttl_ms = 0;
            assert_true(done(complete).changed);
        }
        if (round % 4 == 2)
            subject_advance(&subject, GRACE_MS + 1000);
    }
}

/* ... also when a store that was taken back knows larger ones than its clock would give. */
void
a_token_that_was_put_back_is_counted_on_from(void **state)
{
    (void)state;
    struct jg_op op = admit_leased('a', 1, true);
    int64_t token = op.token + 100000000;
    subject_lose(&subject);
    assert_true(renew_leased('a', 1, op.epoch, token).changed);
    assert_true(admit_leased('a', 1, true).token == token);
    assert_true(complete_leased('a', 1).changed);
    subject_advance(&subject, GRACE_MS + 1000);
    assert_true(admit_leased('b', 1, true).token == token + 1);
}

void
a_holder_that_expired_frees_its_lease_and_ends_nothing(void **state)
{
    (void)state;
    struct jg_op first = admit_leased('a', 1, true);
    subject_advance(&subject, RUN_TTL_MS + 1000);
    struct jg_op second = admit_leased('b', 2, true);
    expect_run(second);
    assert_true(second.token > first.token);
    assert_false(renew_leased('a', 1, first.epoch, first.token).changed);
    assert_false(complete_leased('a', 1).changed);
    assert_int_equal(class_report().running, 1);
    expect_skipped(admit_leased('c', 3, true), JG_REASON_TAKEN);
    assert_true(renew_leased('b', 2, second.epoch, second.token).changed);
    /* It is not done: it may run again. */
    assert_true(complete_leased('b', 2).changed);
    expect_run(admit_leased('a', 3, true));
}

void
a_renewed_run_keeps_its_lease(void **state)
{
    (void)state;
    struct jg_op op = admit_leased('a', 1, true);
    for (int i = 0; i < 4; i++) {
        subject_advance(&subject, RUN_TTL_MS - 1000);
        assert_true(renew_leased('a', 1, op.epoch, op.token).changed);
    }
    struct jg_op taken = admit_leased('b', 1, false);
    expect_hold(taken, JG_REASON_LEASE);
}

void
a_run_whose_lease_another_has_is_over(void **state)
{
    (void)state;
    struct jg_op op = admit_limited('a', 2);
    expect_run(admit_leased('b', 1, true));
    assert_int_equal(class_report().running, 2);
    assert_false(renew_leased('a', 1, op.epoch, 5).changed);
    assert_int_equal(class_report().running, 1);
}

void
a_no_op_is_remembered_and_its_claim_goes_to_its_candidate(void **state)
{
    (void)state;
    expect_run(admit_leased('z', 9, true));
    arrange(JG_CLAIM_PROVISIONAL, EXECUTED);
    expect_claimed(claim('b', EXECUTED), JG_CANDIDATE, 'a', JG_CLAIM_PROVISIONAL);
    struct jg_op op = leased(JG_OP_ADMIT, 'a', 1, JG_LEASE_CLASS);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.lease_skips = true;
    expect_skipped(done(op), JG_REASON_TAKEN);
    expect_claim(JG_CLAIM_PROVISIONAL, 'b');
    assert_int_equal(counter("noops"), 1);
    assert_int_equal(counter("skipped"), 0);
    /* The lease is free again, but that job had its turn. */
    assert_true(complete_leased('z', 9).changed);
    struct jg_op again = done(op);
    expect_skipped(again, JG_REASON_DONE);
    assert_string_equal(again.next, "");
    expect_claim(JG_CLAIM_PROVISIONAL, 'b');
    subject_advance(&subject, DONE_TTL_MS + 1000);
    expect_run(done(op));
}

void
a_no_op_ends_its_claim(void **state)
{
    (void)state;
    arrange(JG_CLAIM_QUEUED, EXECUTING);
    expect_run(admit_leased('z', 1, true));
    expect_skipped(admit_leased('a', 1, true), JG_REASON_TAKEN);
    expect_no_claim();
}

/* Its run died, and its lease is another's by now: as a no-op it would be lost. */
void
a_job_that_started_is_held_while_another_has_its_lease(void **state)
{
    (void)state;
    expect_run(admit_leased('a', 1, true));
    subject_advance(&subject, RUN_TTL_MS + 1000);
    expect_run(admit_leased('b', 2, true));
    expect_hold(admit_leased('a', 3, true), JG_REASON_LEASE);
    expect_skipped(admit_leased('c', 3, true), JG_REASON_TAKEN);
    assert_true(complete_leased('b', 2).changed);
    (void)take("", 0);
    /* It was held: it may come up anywhere. */
    struct jg_op op = leased(JG_OP_ADMIT, 'a', 3, JG_LEASE_CLASS);
    op.member = member_at(op.jid, 3, 40);
    expect_run(done(op));
    op.member = member_at(op.jid, 3, 41);
    expect_skipped(done(op), JG_REASON_COPY);
}

/* Also where it came from, when its consumer died before it committed that it was held. */
void
a_job_that_was_held_is_held_again_while_another_has_its_lease(void **state)
{
    (void)state;
    tell(2, 0);
    struct jg_op op = leased(JG_OP_ADMIT, 'a', 1, JG_LEASE_CLASS);
    op.lease_skips = true;
    op.limit = -1;
    expect_hold(done(op), JG_REASON_PAUSED);
    op.limit = 0;
    (void)take("", 0);
    expect_run(admit_leased('b', 2, true));
    expect_hold(done(op), JG_REASON_LEASE);
    (void)take("", 0);
    op.member = member_at(op.jid, 1, 40);
    op.resumed = true;
    expect_hold(done(op), JG_REASON_LEASE);
    assert_int_equal(take("a", 1).granted, 1);
    expect_later(done(op), JG_REASON_LEASE);
    op.last_try = true;
    expect_hold(done(op), JG_REASON_LEASE);
    assert_int_equal(counter("noops"), 0);
}

static struct jg_job_report
job_report(char letter)
{
    struct jg_job_report found;
    assert_int_equal(jg_store_job_report(subject.store, subject.class_name, job(letter), &found), JG_OK);
    return found;
}

void
that_a_leased_job_started_is_known_until_its_end(void **state)
{
    (void)state;
    struct jg_op op = admit_leased('a', 1, true);
    assert_int_equal(job_report('a').chain_number, 0);
    assert_string_equal(job_report('a').chain_member, op.member);
    assert_true(complete_leased('a', 1).changed);
    assert_int_equal(job_report('a').chain_number, -1);
    assert_true(job_report('a').done);
}

void
that_a_leased_job_started_is_known_for_a_while_after_it_was_renewed(void **state)
{
    (void)state;
    struct jg_op op = admit_leased('a', 1, true);
    for (int i = 0; i < 3; i++) {
        subject_advance(&subject, RUN_TTL_MS - 1000);
        struct jg_op renewal = leased(JG_OP_RENEW, 'a', 1, JG_LEASE_CLASS);
        renewal.epoch_in = op.epoch;
        renewal.token_in = op.token;
        renewal.done_ttl_ms = 2 * RUN_TTL_MS;
        assert_true(done(renewal).changed);
    }
    subject_advance(&subject, 2 * RUN_TTL_MS - 1000);
    expect_run(admit_leased('b', 2, true));
    expect_hold(admit_leased('a', 3, true), JG_REASON_LEASE);
    /* Nobody heard of that one for long. */
    assert_true(complete_leased('b', 2).changed);
    (void)take("", 0);
    expect_run(admit_leased('c', 2, true));
    subject_advance(&subject, DONE_TTL_MS + 1000);
    expect_run(admit_leased('d', 2, true));
    expect_skipped(admit_leased('c', 3, true), JG_REASON_TAKEN);
}

void
a_no_op_goes_before_waiting_in_line(void **state)
{
    (void)state;
    expect_run(admit_leased('a', 1, true));
    expect_hold(admit_leased('b', 1, false), JG_REASON_LEASE);
    expect_skipped(admit_leased('c', 1, true), JG_REASON_TAKEN);
    /* With nobody having it, a newcomer goes behind. */
    assert_true(complete_leased('a', 1).changed);
    expect_hold(admit_leased('d', 1, true), JG_REASON_BEHIND);
}

void
a_ticketed_job_waits_for_the_lease_and_is_then_held(void **state)
{
    (void)state;
    tell(2, 0);
    expect_run(admit_leased('a', 1, false));
    assert_int_equal(take("b", 1).granted, 1);
    struct jg_op op = leased(JG_OP_ADMIT, 'b', 1, JG_LEASE_CLASS);
    op.resumed = true;
    expect_later(done(op), JG_REASON_LEASE);
    op.last_try = true;
    expect_hold(done(op), JG_REASON_LEASE);
    assert_int_equal(class_report().tickets, 0);
    assert_int_equal(class_report().held, 1);
}

void
a_job_whose_own_run_has_the_lease_is_held_and_then_recognised_as_done(void **state)
{
    (void)state;
    expect_run(admit_leased('a', 1, true));
    /* Delivered once more, elsewhere. */
    expect_hold(admit_leased('a', 2, true), JG_REASON_LEASE);
    assert_true(complete_leased('a', 1).changed);
    struct jg_op op = admit_leased('a', 2, true);
    expect_skipped(op, JG_REASON_DONE);
    assert_string_equal(op.next, "");
    assert_int_equal(counter("skipped"), 1);
}

void
completing_a_done_job_again_answers_the_same(void **state)
{
    (void)state;
    expect_run(admit_leased('a', 1, true));
    assert_true(complete_leased('a', 1).changed);
    assert_int_equal(counter("completed"), 1);
    assert_true(complete_leased('a', 1).changed);
    assert_int_equal(counter("completed"), 1);
    /* Another run of it has nothing to say. */
    assert_false(complete_leased('a', 2).changed);
}

void
a_lease_that_got_free_wakes_the_resumer(void **state)
{
    struct jg_watch *watch = NULL;
    (void)state;
    expect_run(admit_leased('a', 1, false));
    expect_hold(admit_leased('b', 1, false), JG_REASON_LEASE);
    assert_int_equal(jg_store_watch(subject.store, &watch), JG_OK);
    assert_true(complete_leased('a', 1).changed);
    bool woken = false;
    for (int i = 0; i < 500 && !woken; i++) {
        assert_int_equal(jg_watch_read(watch, &woken), JG_OK);
        subject_pause();
    }
    assert_true(woken);
    jg_watch_close(watch);
}

void
a_lease_comes_back_after_its_loss(void **state)
{
    (void)state;
    struct jg_op op = admit_leased('a', 1, true);
    subject_lose(&subject);
    expect_later(admit_leased('b', 1, true), JG_REASON_GRACE);
    struct jg_op renewed = renew_leased('a', 1, op.epoch, op.token);
    assert_true(renewed.changed && renewed.epoch > op.epoch);
    subject_advance(&subject, GRACE_MS + 1000);
    expect_skipped(admit_leased('b', 1, true), JG_REASON_TAKEN);
    struct jg_op again = admit_leased('a', 1, true);
    expect_run(again);
    assert_true(again.token == op.token);
    assert_true(renew_leased('a', 1, renewed.epoch, op.token).changed);
    /* So does that it started. */
    again = leased(JG_OP_ADMIT, 'a', 2, JG_LEASE_CLASS);
    again.member = member_at(again.jid, 2, 40);
    expect_skipped(done(again), JG_REASON_COPY);
    subject_advance(&subject, RUN_TTL_MS + 1000);
    expect_run(admit_leased('c', 1, true));
    expect_hold(admit_leased('a', 2, true), JG_REASON_LEASE);
}

/* Although it comes up, and is held, before it is over. */
void
a_leased_run_that_the_store_lost_is_done_when_it_ends(void **state)
{
    (void)state;
    struct jg_op op = admit_leased('a', 1, true);
    subject_lose(&subject);
    subject_advance(&subject, GRACE_MS + 1000);
    expect_run(admit_leased('b', 2, false));
    struct jg_op again = leased(JG_OP_ADMIT, 'a', 2, JG_LEASE_CLASS);
    again.lease_skips = true;
    again.limit = -1;
    expect_hold(done(again), JG_REASON_PAUSED);
    struct jg_op complete = leased(JG_OP_COMPLETE, 'a', 1, JG_LEASE_CLASS);
    complete.epoch_in = op.epoch;
    assert_true(done(complete).changed);
    assert_true(job_report('a').done);
}

void
a_lease_does_not_come_back_over_a_larger_token(void **state)
{
    (void)state;
    struct jg_op first = admit_leased('a', 1, true);
    subject_snapshot(&subject);
    subject_advance(&subject, RUN_TTL_MS + 1000);
    struct jg_op second = admit_leased('b', 1, true);
    expect_run(second);
    subject_new_epoch(&subject);
    assert_false(renew_leased('a', 1, first.epoch, first.token).changed);
    assert_true(renew_leased('b', 1, second.epoch, second.token).changed);
    assert_int_equal(class_report().running, 1);
    /* In a store that was taken back, the newer one takes it from the older. */
    subject_rewind(&subject);
    assert_true(renew_leased('b', 1, second.epoch, second.token).changed);
    assert_false(renew_leased('a', 1, first.epoch, first.token).changed);
    assert_int_equal(class_report().running, 1);
}

void
a_done_run_does_not_come_back(void **state)
{
    (void)state;
    struct jg_op op = admit_leased('a', 1, true);
    assert_true(complete_leased('a', 1).changed);
    subject_new_epoch(&subject);
    assert_false(renew_leased('a', 1, op.epoch, op.token).changed);
    assert_int_equal(class_report().running, 0);
}

void
an_operation_on_leases_that_lacks_something_is_refused(void **state)
{
    (void)state;
    struct jg_op op = leased(JG_OP_ADMIT, 'a', 1, JG_LEASE_CLASS);
    op.dedup_provisional_ms = 0;
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
    op = leased(JG_OP_COMPLETE, 'a', 1, JG_LEASE_CLASS);
    op.jid = "a job of another kind";
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
    op = leased(JG_OP_COMPLETE, 'a', 1, JG_LEASE_CLASS);
    op.capacity = -1;
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
    op = leased(JG_OP_SYNC, 'a', 1, JG_LEASE_CLASS);
    char key[257];
    memset(key, 'k', 256);
    key[256] = '\0';
    op.load_key = key;
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
}
