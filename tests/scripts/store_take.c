/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets of classes with a lease or a capacity. */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
tell_more(enum jg_lease lease, int64_t capacity, int64_t limit)
{
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.member = "instance1";
    op.lease = lease;
    op.capacity = capacity;
    op.limit = limit;
    op.load_key = capacity ? gauge_of("load") : NULL;
    (void)done(op);
}

/* What was said of each item, as letters: (y)es, (k)ey, (n)one. */
static char answers[16];

static struct jg_op
take_links(const char *const *items, size_t count)
{
    unsigned char grants[sizeof answers];
    struct jg_op op = operation(JG_OP_TAKE, 'a');
    op.items = items;
    op.grants = grants;
    op.item_count = count;
    op = done(op);
    for (size_t i = 0; i < count; i++)
        answers[i] = "nky"[grants[i]];
    answers[count] = '\0';
    op.items = NULL;
    op.grants = NULL;
    return op;
}

void
an_override_counts_for_classes_with_a_lease_or_a_capacity_too(void **state)
{
    (void)state;
    for (int capacity = 0; capacity < 2; capacity++) {
        subject_flush(&subject);
        set_load(0);
        struct jg_op op = operation(JG_OP_ADMIT, 'a');
        op.lease = capacity ? JG_LEASE_NONE : JG_LEASE_CLASS;
        op.capacity = capacity ? 4 : 0;
        op.load_key = gauge_of("load");
        (void)set_override(true, -1);
        tell_more(op.lease, op.capacity, 0);
        expect_hold(done(op), JG_REASON_PAUSED);
        assert_int_equal(take("a", 1).granted, 0);
        (void)set_override(true, 1);
        assert_int_equal(take("a", 1).granted, 1);
        op.resumed = true;
        expect_run(done(op));
        struct jg_op other = op;
        other.jid = job('b');
        other.member = member_of(other.jid, 1);
        other.resumed = false;
        (void)take("", 0);
        expect_hold(done(other), JG_REASON_LIMIT);
        (void)set_override(false, 0);
        (void)take("", 0);
        other = done(other);
        assert_int_equal(other.verdict, capacity ? JG_RUN : JG_HOLD);
        assert_int_equal(other.reason, capacity ? JG_REASON_NONE : JG_REASON_LEASE);
    }
    /* Of one without any of them nobody asks: it costs nothing. */
    (void)set_override(true, -1);
    expect_run(admit('c', EXECUTING));
}

void
a_take_gives_one_ticket_for_one_free_lease(void **state)
{
    (void)state;
    tell_more(JG_LEASE_CLASS, 0, 0);
    struct jg_op op = take("abc", 3);
    assert_int_equal(op.granted, 1);
    assert_int_equal(op.tickets, 1);
    assert_int_equal(take("abc", 3).granted, 1);
    struct jg_op admission = operation(JG_OP_ADMIT, 'a');
    admission.lease = JG_LEASE_CLASS;
    admission.resumed = true;
    expect_run(done(admission));
    assert_int_equal(take("bc", 2).granted, 0);
    subject_advance(&subject, RUN_TTL_MS + 1000);
    assert_int_equal(take("b", 1).granted, 1);
    assert_true(drop('b'));
    (void)take("", 0);
    expect_run(done(admission));
    admission.kind = JG_OP_COMPLETE;
    assert_true(done(admission).changed);
    assert_int_equal(take("bc", 2).granted, 1);
    subject_new_epoch(&subject);
    assert_int_equal(take("bc", 2).reason, JG_REASON_GRACE);
}

void
a_take_gives_as_many_tickets_as_the_load_is_below_the_capacity(void **state)
{
    (void)state;
    tell_more(JG_LEASE_NONE, 4, 0);
    set_load(4);
    struct jg_op op = take("abcde", 5);
    assert_int_equal(op.granted, 0);
    assert_int_equal(op.load_now, 4);
    set_load(1);
    op = take("abcde", 5);
    assert_int_equal(op.granted, 3);
    assert_int_equal(op.load_now, 1);
    assert_int_equal(take("abcde", 5).granted, 3);
    set_load(9);
    assert_int_equal(take("de", 5).granted, 0);
    set_load(-1);
    op = take("de", 5);
    assert_int_equal(op.granted, 1);
    assert_int_equal(op.gauge, JG_GAUGE_ABSENT);
    /* The smallest of what binds. */
    assert_true(drop('a') && drop('b') && drop('c') && drop('d'));
    tell_more(JG_LEASE_NONE, 4, 2);
    assert_int_equal(take("abcde", 5).granted, 2);
}

void
a_take_gives_one_ticket_for_each_job_key(void **state)
{
    const char *const same[] = {jid_of(1, 1), jid_of(1, 2), jid_of(2, 1)};
    const char *const others[] = {jid_of(1, 1), jid_of(2, 1), jid_of(2, 2)};
    (void)state;
    tell_more(JG_LEASE_KEY, 0, 0);
    assert_int_equal(take_links(same, 3).granted, 2);
    assert_int_equal(take_links(others, 3).granted, 2);
    struct jg_op op = operation(JG_OP_ADMIT, 'a');
    op.lease = JG_LEASE_KEY;
    op.key = key_of(3);
    op.jid = jid_of(3, 1);
    op.member = member_of(op.jid, 1);
    op.hold_max = 1;
    tell_more(JG_LEASE_KEY, 0, 0);
    subject_flush(&subject);
    expect_run(done(op));
    tell_more(JG_LEASE_KEY, 0, 0);
    const char *const held[] = {jid_of(1, 1), jid_of(3, 2), jid_of(2, 1)};
    assert_int_equal(take_links(held, 3).granted, 2);
    op.kind = JG_OP_COMPLETE;
    assert_true(done(op).changed);
    assert_int_equal(take_links(held, 3).granted, 3);
}

void
a_take_goes_on_past_what_waits_for_its_key(void **state)
{
    const char *const jobs[] = {jid_of(1, 1), jid_of(1, 2), jid_of(1, 3), jid_of(2, 1), jid_of(1, 4), jid_of(3, 1)};
    (void)state;
    tell_more(JG_LEASE_KEY, 0, 0);
    struct jg_op op = take_links(jobs, 6);
    assert_string_equal(answers, "ykkyky");
    assert_int_equal(op.granted, 3);
    assert_int_equal(op.tickets, 3);
    (void)take_links(jobs, 6); /* asked once more */
    assert_string_equal(answers, "ykkyky");
    assert_int_equal(take_links(jobs + 1, 2).reason, JG_REASON_LEASE);
    assert_string_equal(answers, "kk");
}

void
a_take_stops_at_the_classs_bar_but_for_what_has_a_ticket(void **state)
{
    const char *const jobs[] = {jid_of(1, 2), jid_of(1, 1), jid_of(2, 1), jid_of(3, 1), jid_of(2, 2)};
    (void)state;
    tell_more(JG_LEASE_KEY, 0, 2);
    assert_int_equal(take_links(jobs + 1, 1).granted, 1);
    struct jg_op op = take_links(jobs, 5);
    assert_string_equal(answers, "kyynn");
    assert_int_equal(op.granted, 2);
    assert_int_equal(take_links(jobs + 3, 2).reason, JG_REASON_LIMIT);
    assert_string_equal(answers, "nn");
    tell_more(JG_LEASE_NONE, 0, -1);
    (void)take_links(jobs, 5);
    assert_string_equal(answers, "nnnnn");
    tell_more(JG_LEASE_NONE, 0, 0);
    assert_int_equal(take_links(jobs, 5).granted, 5);
    assert_string_equal(answers, "yyyyy");
}

void
a_take_answers_how_many_of_a_key_the_settings_allow(void **state)
{
    (void)state;
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.member = "instance1";
    assert_int_equal(take("a", 1).per_key_now, 0);
    op.per_key = 3;
    (void)done(op);
    assert_int_equal(take("a", 1).per_key_now, 3);
    op.per_key = 0;
    (void)done(op);
    assert_int_equal(take("a", 1).per_key_now, 0);
}

void
a_take_is_told_what_is_known_of_its_items_and_refuses_nonsense(void **state)
{
    const char *const items[] = {job('a'), job('b')}, *keys[] = {NULL, key_of(3)}, *spaced[] = {"a job"};
    const bool follow_ups[] = {true, false};
    (void)state;
    tell(2, 0);
    struct jg_op op = operation(JG_OP_TAKE, 'a');
    op.items = items;
    op.item_count = 2;
    op.limit_keys = keys;
    op.follow_ups = follow_ups;
    assert_int_equal(done(op).granted, 2);
    assert_true(drop('a') && drop('b')); /* by their jids alone */
    keys[1] = "short";
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
    op.limit_keys = NULL;
    op.items = spaced;
    op.item_count = 1;
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
}

void
a_take_says_why_nothing_is_granted(void **state)
{
    const char *const same[] = {jid_of(1, 1)};
    (void)state;
    /* Nobody told anything, or there is nothing to grant. */
    assert_int_equal(take("a", 1).reason, JG_REASON_NONE);
    tell_more(JG_LEASE_CLASS, 4, 0);
    set_load(4);
    assert_int_equal(take("", 0).reason, JG_REASON_NONE);
    assert_int_equal(take("a", 1).reason, JG_REASON_CAPACITY);
    set_load(3);
    struct jg_op op = take("ab", 2);
    assert_int_equal(op.granted, 1);
    assert_int_equal(op.reason, JG_REASON_NONE);
    set_load(0);
    assert_int_equal(take("b", 1).reason, JG_REASON_LEASE);
    tell_more(JG_LEASE_CLASS, 4, 1);
    assert_int_equal(take("b", 1).reason, JG_REASON_LIMIT);
    assert_true(drop('a'));
    tell_more(JG_LEASE_KEY, 0, 0);
    assert_int_equal(take_links(same, 1).granted, 1);
    const char *const other[] = {jid_of(1, 2)};
    op = take_links(other, 1);
    assert_int_equal(op.granted, 0);
    assert_int_equal(op.reason, JG_REASON_LEASE);
    tell_more(JG_LEASE_NONE, 0, -1);
    assert_int_equal(take("b", 1).reason, JG_REASON_NONE);
}
