/* SPDX-License-Identifier: Apache-2.0 */
/* What people are shown of leases, chains and capacity. */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct lease_list {
    size_t count;
    struct jg_lease_report last;
};

static void
look_at_lease(void *opaque, const struct jg_lease_report *lease)
{
    struct lease_list *list = opaque;
    list->count++;
    list->last = *lease;
}

static struct lease_list
leases(void)
{
    struct lease_list list = {.count = 0};
    assert_int_equal(jg_store_leases(subject.store, subject.class_name, look_at_lease, &list), JG_OK);
    return list;
}

static struct jg_job_report
job_report(const char *jid)
{
    struct jg_job_report found;
    assert_int_equal(jg_store_job_report(subject.store, subject.class_name, jid, &found), JG_OK);
    return found;
}

static void
tell_lease(enum jg_lease lease)
{
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.member = "instance1";
    op.lease = lease;
    (void)done(op);
}

static struct jg_op
leased(enum jg_op_kind kind, enum jg_lease lease)
{
    struct jg_op op = operation(kind, 'a');
    op.lease = lease;
    op.done_ttl_ms = TTL_MS;
    return op;
}

void
a_report_shows_who_has_a_lease_and_what_token(void **state)
{
    (void)state;
    for (int by = JG_LEASE_CLASS; by <= JG_LEASE_KEY; by++) {
        subject_flush(&subject);
        tell_lease((enum jg_lease)by);
        assert_int_equal(leases().count, 0);
        struct jg_op op = done(leased(JG_OP_ADMIT, (enum jg_lease)by));
        struct lease_list list = leases();
        assert_int_equal(list.count, 1);
        assert_string_equal(list.last.key, by == JG_LEASE_KEY ? key_of(0) : "");
        assert_string_equal(list.last.member, op.member);
        assert_true(list.last.token == op.token);
        assert_true(list.last.expires_ms > 0);
        int64_t token = op.token;
        assert_true(done(leased(JG_OP_COMPLETE, (enum jg_lease)by)).changed);
        list = leases();
        assert_int_equal(list.count, 1);
        assert_string_equal(list.last.member, "");
        assert_true(list.last.token == token && list.last.expires_ms == 0);
        assert_int_equal(class_report().lease, by);
    }
}

void
a_report_shows_no_owner_that_expired(void **state)
{
    (void)state;
    (void)done(leased(JG_OP_ADMIT, JG_LEASE_CLASS));
    subject_advance(&subject, RUN_TTL_MS + 1000);
    assert_string_equal(leases().last.member, "");
    assert_string_equal(job_report(job('a')).member, "");
    subject_advance(&subject, 2 * 3600000);
    assert_int_equal(leases().count, 0);
}

void
a_report_shows_what_is_known_of_a_job(void **state)
{
    (void)state;
    struct jg_job_report found = job_report(job('a'));
    assert_false(found.done || found.ticket || found.member[0] || found.next[0] || found.expires_ms);
    assert_int_equal(found.chain_number, -1);
    tell(1, 0);
    assert_int_equal(take("a", 1).granted, 1);
    assert_true(job_report(job('a')).ticket);
    struct jg_op op = leased(JG_OP_ADMIT, JG_LEASE_NONE);
    op.capacity = 1;
    op.resumed = true;
    expect_run(done(op));
    found = job_report(job('a'));
    assert_false(found.ticket || found.done);
    assert_string_equal(found.member, op.member);
    assert_true(found.expires_ms > 0);
    assert_int_equal(found.chain_number, 0);
    assert_string_equal(found.chain_member, op.member);
    op = leased(JG_OP_COMPLETE, JG_LEASE_NONE);
    op.capacity = 1;
    (void)done(op);
    found = job_report(job('a'));
    assert_true(found.done);
    assert_string_equal(found.next, link_of_chain(job('a'), 1));
    assert_string_equal(found.member, "");
    assert_int_equal(job_report(link_of_chain(job('a'), 1)).chain_number, 0);
}

void
a_report_shows_load_and_work(void **state)
{
    (void)state;
    char load_key[96], work_key[96];
    snprintf(load_key, sizeof load_key, "load:%s", subject.class_name);
    snprintf(work_key, sizeof work_key, "work:%s", subject.class_name);
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.member = "instance1";
    op.capacity = 9;
    op.load_key = load_key;
    op.work_key = work_key;
    (void)done(op);
    subject_set_gauge(&subject, work_key, 5);
    struct jg_class_report found = class_report();
    assert_int_equal(found.capacity, 9);
    assert_string_equal(found.load_key, load_key);
    assert_string_equal(found.work_key, work_key);
    assert_int_equal(found.load, 0);
    assert_int_equal(found.work, 5);
    assert_int_equal(found.gauge, JG_GAUGE_ABSENT);
    subject_set_gauge(&subject, load_key, 7);
    found = class_report();
    assert_int_equal(found.load, 7);
    assert_int_equal(found.gauge, JG_GAUGE_FINE);
    if (subject.kind == SUBJECT_MEMORY)
        return;
    freeReplyObject(subject_command(&subject, "SET %s hello", work_key));
    found = class_report();
    assert_int_equal(found.gauge, JG_GAUGE_WORK_WRONG);
    assert_true(found.work < 0);
    freeReplyObject(subject_command(&subject, "DEL %s", load_key));
    freeReplyObject(subject_command(&subject, "RPUSH %s a b c", load_key));
    assert_int_equal(class_report().load, 3);
}
