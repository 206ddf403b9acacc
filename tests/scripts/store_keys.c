/* SPDX-License-Identifier: Apache-2.0 */
/* Limits by key: how many jobs of one value run at once, and whom newcomers go behind. Jobs are letters, tenants
 * numbers. */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct jg_op
of_tenant(enum jg_op_kind kind, char letter, unsigned tenant, int64_t per_key)
{
    struct jg_op op = operation(kind, letter);
    op.key = key_of((unsigned)(letter - 'a')); /* other arguments, other job keys */
    op.jid = jid_of((unsigned)(letter - 'a'), 1);
    op.member = member_of(op.jid, 1);
    op.limit_key = limit_key_of(tenant);
    op.per_key = per_key;
    return op;
}

static struct jg_op
admission(char letter, unsigned tenant)
{
    return of_tenant(JG_OP_ADMIT, letter, tenant, 1);
}

static struct jg_op
come(char letter, unsigned tenant)
{
    return done(admission(letter, tenant));
}

static struct jg_op
come_back(char letter, unsigned tenant)
{
    struct jg_op op = admission(letter, tenant);
    op.resumed = true;
    return done(op);
}

static void
end(char letter, unsigned tenant)
{
    assert_true(done(of_tenant(JG_OP_COMPLETE, letter, tenant, 0)).changed);
}

/* The settings say so. */
static void
tell_per_key(int64_t per_key, int64_t limit)
{
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.member = "instance1";
    op.per_key = per_key;
    op.limit = limit;
    (void)done(op);
}

/* What a take says of the jobs of `letters`, the tenants of `tenants`, as letters: (y)es, (k)ey, (n)one. */
static const char *
take_of(const char *letters, const char *tenants, int held)
{
    static char answers[16];
    const char *items[16], *keys[16];
    unsigned char grants[16];
    struct jg_op op = operation(JG_OP_TAKE, 'a');
    for (; letters[op.item_count]; op.item_count++) {
        items[op.item_count] = jid_of((unsigned)(letters[op.item_count] - 'a'), 1);
        keys[op.item_count] = limit_key_of((unsigned)(tenants[op.item_count] - '0'));
    }
    op.items = items;
    op.limit_keys = keys;
    op.grants = grants;
    op.held_in = held;
    op.oldest_held_in = 17;
    op = done(op);
    for (size_t i = 0; i < op.item_count; i++)
        answers[i] = "nky"[grants[i]];
    answers[op.item_count] = '\0';
    return answers;
}

static bool
mark_keys(unsigned tenant, bool leave)
{
    const char *const items[] = {limit_key_of(tenant)};
    struct jg_op op = operation(JG_OP_MARK, 'a');
    op.items = items;
    op.item_count = 1;
    op.leave = leave;
    return done(op).changed;
}

static struct jg_key_report
key_report(unsigned tenant)
{
    struct jg_key_report found;
    assert_int_equal(jg_store_key_report(subject.store, subject.class_name, limit_key_of(tenant), &found), JG_OK);
    return found;
}

void
a_limit_by_key_holds_the_second_job_of_a_key_and_lets_another_key_run(void **state)
{
    (void)state;
    expect_run(come('a', 1));
    expect_run(come('a', 1)); /* told again */
    expect_hold(come('b', 1), JG_REASON_KEY);
    expect_run(come('c', 2));
    assert_int_equal(key_report(1).running, 1);
    assert_true(key_report(1).marked);
    assert_false(key_report(2).marked);
    assert_int_equal(class_report().running, 2);
    end('a', 1);
    assert_int_equal(key_report(1).running, 0);
}

void
each_instance_admits_by_its_own_number_of_a_key(void **state)
{
    (void)state;
    expect_run(done(of_tenant(JG_OP_ADMIT, 'a', 1, 3)));
    expect_run(done(of_tenant(JG_OP_ADMIT, 'b', 1, 3)));
    expect_hold(done(of_tenant(JG_OP_ADMIT, 'c', 1, 2)), JG_REASON_KEY);
    (void)mark_keys(1, true);
    expect_run(done(of_tenant(JG_OP_ADMIT, 'd', 1, 3)));
    (void)mark_keys(1, true);
    expect_hold(done(of_tenant(JG_OP_ADMIT, 'e', 1, 3)), JG_REASON_KEY);
}

void
newcomers_go_behind_held_jobs_of_their_own_key_only(void **state)
{
    (void)state;
    expect_run(come('a', 1));
    expect_hold(come('b', 1), JG_REASON_KEY);
    end('a', 1);
    expect_hold(come('c', 1), JG_REASON_BEHIND);
    expect_run(come('d', 2));
    assert_true(mark_keys(1, true));
    assert_false(mark_keys(1, true));
    expect_run(come('c', 1));
}

void
a_mark_is_refreshed_and_forgotten_after_ten_minutes(void **state)
{
    (void)state;
    assert_true(mark_keys(1, false));
    assert_false(mark_keys(1, false));
    expect_hold(come('a', 1), JG_REASON_BEHIND);
    subject_advance(&subject, JG_MARK_MS - 5000);
    assert_false(mark_keys(1, false));
    subject_advance(&subject, JG_MARK_MS - 5000);
    expect_hold(come('b', 1), JG_REASON_BEHIND); /* which marks it again */
    subject_advance(&subject, JG_MARK_MS + 5000);
    expect_run(come('c', 1));
}

void
a_key_whose_tickets_take_all_that_is_free_lets_no_newcomer_in(void **state)
{
    (void)state;
    tell_per_key(1, 0);
    expect_run(come('a', 1));
    expect_hold(come('b', 1), JG_REASON_KEY);
    assert_string_equal(take_of("b", "1", 1), "k");
    end('a', 1);
    assert_string_equal(take_of("b", "1", 1), "y");
    assert_int_equal(key_report(1).tickets, 1);
    (void)mark_keys(1, true);
    expect_hold(come('c', 1), JG_REASON_BEHIND);
    expect_run(come('d', 2));
    expect_run(come_back('b', 1));
    assert_int_equal(key_report(1).tickets, 0);
}

void
a_take_counts_the_runs_and_the_tickets_of_each_key(void **state)
{
    (void)state;
    tell_per_key(2, 0);
    expect_run(done(of_tenant(JG_OP_ADMIT, 'a', 1, 2)));
    assert_string_equal(take_of("bcdef", "11223", 9), "ykyyy");
    assert_string_equal(take_of("bcdefg", "112234", 9), "ykyyyy");
    struct jg_op op = of_tenant(JG_OP_TAKE, 'a', 1, 0);
    const char *const unknown[] = {jid_of(7, 1)};
    op.items = unknown; /* held by who knew no keys: its consumer will say */
    op.item_count = 1;
    op = done(op);
    assert_int_equal(op.granted, 1);
    assert_int_equal(op.per_key_now, 2);
    /* By the position that it is placed at, too. */
    const char *const placed[] = {jid_of(1, 1), "jobs/0/17"};
    op = operation(JG_OP_PLACE, 'a');
    op.items = placed;
    op.item_count = 2;
    assert_true(done(op).changed);
    assert_int_equal(key_report(1).tickets, 1);
    assert_string_equal(take_of("c", "1", 9), "k");
}

void
a_ticketed_job_waits_for_its_key_and_is_held_at_its_last_try(void **state)
{
    (void)state;
    tell_per_key(1, 0);
    assert_string_equal(take_of("a", "1", 1), "y");
    (void)mark_keys(1, true);
    struct jg_op out_of_turn = admission('b', 1);
    out_of_turn.hold_max = 1;
    expect_hold(come('c', 1), JG_REASON_BEHIND); /* one is held, which is as many as may be */
    expect_run(done(out_of_turn));
    expect_later(come_back('a', 1), JG_REASON_KEY);
    struct jg_op last = admission('a', 1);
    last.resumed = last.last_try = true;
    expect_hold(done(last), JG_REASON_KEY);
    assert_int_equal(key_report(1).tickets, 0);
}

void
beside_its_keys_a_class_has_its_own_limit(void **state)
{
    (void)state;
    tell_per_key(1, 2);
    struct jg_op op = admission('a', 1);
    op.limit = 2;
    expect_run(done(op));
    op = admission('b', 2);
    op.limit = 2;
    expect_run(done(op));
    op = admission('c', 3);
    op.limit = 2;
    expect_hold(done(op), JG_REASON_LIMIT);
    end('a', 1);
    /* It asks in the same moment as an end: what waits for the class alone goes first. */
    op = admission('d', 4);
    op.limit = 2;
    expect_hold(done(op), JG_REASON_BEHIND);
    assert_string_equal(take_of("cd", "34", 2), "yn");
    op = admission('e', 5);
    op.limit = 2;
    expect_hold(done(op), JG_REASON_BEHIND);
    end('b', 2);
    assert_string_equal(take_of("d", "4", 1), "y");
    op = admission('f', 6);
    op.limit = 2;
    expect_hold(done(op), JG_REASON_BEHIND); /* the tickets take all slots */
}

void
what_waits_for_its_own_key_keeps_no_other_key_out_of_the_classs_slots(void **state)
{
    (void)state;
    tell_per_key(1, 3);
    struct jg_op op = admission('a', 1);
    op.limit = 3;
    expect_run(done(op));
    for (char letter = 'b'; letter < 'f'; letter++) {
        op = admission(letter, 1);
        op.limit = 3;
        op = done(op);
        assert_int_equal(op.verdict, JG_HOLD);
    }
    assert_string_equal(take_of("bcde", "1111", 4), "kkkk");
    for (char letter = 'f'; letter < 'h'; letter++) {
        op = admission(letter, (unsigned)letter);
        op.limit = 3;
        expect_run(done(op));
    }
}

void
a_pause_counts_for_a_class_with_keys_and_what_was_held_goes_first(void **state)
{
    (void)state;
    tell_per_key(1, 0);
    (void)set_override(true, -1);
    expect_hold(come('a', 1), JG_REASON_PAUSED);
    assert_string_equal(take_of("a", "1", 1), "n");
    (void)set_override(true, 1);
    expect_hold(come('b', 2), JG_REASON_BEHIND);
    assert_string_equal(take_of("ab", "12", 2), "yn");
    expect_run(come_back('a', 1));
    expect_hold(come('c', 3), JG_REASON_LIMIT);
    (void)set_override(false, 0);
    assert_string_equal(take_of("bc", "23", 2), "yy");
    expect_run(come('d', 4));
}

void
a_dead_consumers_slot_of_a_key_comes_back_by_its_time(void **state)
{
    (void)state;
    struct jg_op op = come('a', 1), renewal = of_tenant(JG_OP_RENEW, 'a', 1, 0);
    expect_run(op);
    renewal.epoch_in = op.epoch;
    subject_advance(&subject, RUN_TTL_MS - 5000);
    assert_true(done(renewal).changed);
    subject_advance(&subject, RUN_TTL_MS - 5000);
    expect_hold(come('b', 1), JG_REASON_KEY);
    (void)mark_keys(1, true);
    subject_advance(&subject, 10000);
    expect_run(come('c', 1));
    assert_false(done(renewal).changed);
    assert_int_equal(key_report(1).running, 1);
}

void
a_job_that_leaves_frees_the_slot_of_its_key(void **state)
{
    (void)state;
    expect_run(come('a', 1));
    struct jg_op op = of_tenant(JG_OP_COMPLETE, 'a', 1, 0);
    op.leave = true;
    assert_true(done(op).changed);
    expect_run(come('b', 1));
}

void
a_run_puts_its_slot_of_a_key_back_when_the_store_lost_its_data(void **state)
{
    (void)state;
    struct jg_op op = come('a', 1), renewal = of_tenant(JG_OP_RENEW, 'a', 1, 0);
    expect_run(op);
    renewal.epoch_in = op.epoch;
    subject_lose(&subject);
    expect_later(come('b', 1), JG_REASON_GRACE);
    assert_true(done(renewal).changed);
    subject_advance(&subject, GRACE_MS + 1000);
    expect_hold(come('b', 1), JG_REASON_KEY);
    expect_run(come('c', 2));
}

void
a_shorter_ttl_of_another_instance_ends_no_slot_of_a_key_early(void **state)
{
    (void)state;
    struct jg_op longer = of_tenant(JG_OP_ADMIT, 'a', 1, 2), shorter = of_tenant(JG_OP_ADMIT, 'b', 1, 2);
    longer.run_ttl_ms = 100 * RUN_TTL_MS;
    expect_run(done(longer));
    expect_run(done(shorter));
    subject_advance(&subject, 10 * RUN_TTL_MS);
    assert_int_equal(key_report(1).running, 1);
}

void
a_successor_that_waits_lets_newcomers_of_its_key_go_behind_it(void **state)
{
    (void)state;
    expect_run(come('a', 1));
    struct jg_op op = of_tenant(JG_OP_COMPLETE, 'a', 1, 0);
    op.failed = true;
    assert_true(done(op).next_waits);
    expect_hold(come('b', 1), JG_REASON_BEHIND);
    expect_run(come('c', 2));
}

void
with_leases_of_job_keys_newcomers_go_behind_their_own_key_only(void **state)
{
    (void)state;
    struct jg_op op = operation(JG_OP_ADMIT, 'a');
    op.lease = JG_LEASE_KEY;
    expect_run(done(op));
    struct jg_op second = op;
    second.jid = job('b');
    second.member = member_of(second.jid, 1);
    expect_hold(done(second), JG_REASON_LEASE);
    struct jg_op other = second;
    other.key = key_of(5);
    other.jid = jid_of(5, 1);
    other.member = member_of(other.jid, 1);
    expect_run(done(other));
    op.kind = JG_OP_COMPLETE;
    assert_true(done(op).changed);
    op.kind = JG_OP_ADMIT;
    op.jid = job('c');
    op.member = member_of(op.jid, 1);
    expect_hold(done(op), JG_REASON_BEHIND);
    /* Where a taken lease makes no-ops, the class goes behind what is held, as ever. */
    other.lease_skips = true;
    other.key = key_of(6);
    other.jid = jid_of(6, 1);
    other.member = member_of(other.jid, 1);
    expect_hold(done(other), JG_REASON_BEHIND);
}

void
an_operation_with_half_a_limit_by_key_is_refused(void **state)
{
    (void)state;
    struct jg_op op = admission('a', 1);
    op.per_key = 0;
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
    op = admission('a', 1);
    op.limit_key = NULL;
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
    op = admission('a', 1);
    op.limit_key = "short";
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
    const char *const items[] = {"no key"};
    op = operation(JG_OP_MARK, 'a');
    op.items = items;
    op.item_count = 1;
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
}
