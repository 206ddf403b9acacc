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

/* --- for the metrics --- */

static struct jg_op
leased_of(enum jg_op_kind kind, char name)
{
    struct jg_op op = operation(kind, name);
    op.lease = JG_LEASE_CLASS;
    op.done_ttl_ms = TTL_MS;
    return op;
}

void
a_lease_that_expired_is_counted_when_another_run_gets_it(void **state)
{
    (void)state;
    expect_run(done(leased_of(JG_OP_ADMIT, 'a')));
    assert_true(done(leased_of(JG_OP_COMPLETE, 'a')).changed);
    expect_run(done(leased_of(JG_OP_ADMIT, 'b')));
    assert_int_equal(counter("leases_lost"), 0);
    subject_advance(&subject, RUN_TTL_MS + 1000);
    assert_int_equal(class_report().running, 0);
    assert_int_equal(counter("runs_lost"), 0);
    expect_run(done(leased_of(JG_OP_ADMIT, 'c')));
    assert_int_equal(counter("runs_lost"), 1);
    assert_int_equal(counter("leases_lost"), 1);
    (void)done(leased_of(JG_OP_COMPLETE, 'b')); /* it goes on, too late: the lease is another's */
    assert_true(done(leased_of(JG_OP_COMPLETE, 'c')).changed);
    assert_int_equal(counter("runs_lost"), 1);
    assert_int_equal(counter("leases_lost"), 1);
}

void
a_lease_that_expired_is_counted_when_its_run_ends_after_all(void **state)
{
    (void)state;
    expect_run(done(leased_of(JG_OP_ADMIT, 'a')));
    subject_advance(&subject, RUN_TTL_MS + 1000);
    (void)done(leased_of(JG_OP_COMPLETE, 'a'));
    assert_int_equal(counter("leases_lost"), 1);
    (void)done(leased_of(JG_OP_COMPLETE, 'a'));
    expect_run(done(leased_of(JG_OP_ADMIT, 'b')));
    assert_int_equal(counter("runs_lost"), 1);
    assert_int_equal(counter("leases_lost"), 1);
}

void
a_job_that_failed_is_counted_among_the_completed(void **state)
{
    (void)state;
    struct jg_op op = operation(JG_OP_ADMIT, 'a');
    op.limit = 1;
    expect_run(done(op));
    op = operation(JG_OP_COMPLETE, 'a');
    op.limit = 1;
    op.failed = true;
    assert_true(done(op).changed);
    (void)done(op);
    assert_int_equal(counter("completed"), 1);
    assert_int_equal(counter("failed"), 1);
}

void
a_report_tells_claims_by_their_state_and_the_class_s_lease(void **state)
{
    (void)state;
    struct jg_class_report found = class_report();
    assert_false(found.lease_held || found.lease_token);
    (void)claim('a', EXECUTED);
    found = class_report();
    assert_int_equal(found.claim_states[JG_CLAIM_PROVISIONAL], 1);
    assert_true(found.epoch > 0);
    (void)confirm('a');
    assert_int_equal(class_report().claim_states[JG_CLAIM_QUEUED], 1);
    struct jg_op op = done(leased_of(JG_OP_ADMIT, 'b'));
    found = class_report();
    assert_int_equal(found.claims, 1);
    assert_true(found.lease_held);
    assert_true(found.lease_token == op.token);
    subject_advance(&subject, RUN_TTL_MS + 1000);
    found = class_report();
    assert_false(found.lease_held);
    assert_true(found.lease_token == op.token);
}

struct surveyed {
    size_t count;
    bool seen; /* the test's own class */
    struct jg_class_report report;
};

static void
look_at_class(void *opaque, const char *class_name, const struct jg_class_report *report)
{
    struct surveyed *surveyed = opaque;
    surveyed->count++;
    if (strcmp(class_name, subject.class_name) != 0)
        return;
    surveyed->seen = true;
    surveyed->report = *report;
}

static struct surveyed
survey(struct jg_survey survey)
{
    struct surveyed surveyed = {.count = 0};
    survey.each = look_at_class;
    survey.opaque = &surveyed;
    assert_int_equal(jg_store_survey(subject.store, &survey), JG_OK);
    assert_true(survey.store.now_ms > 0);
    assert_true(surveyed.count <= survey.known);
    assert_int_equal(survey.store.run_id[0] != '\0', subject.kind == SUBJECT_REDIS);
    return surveyed;
}

static void
expect_same(const struct jg_class_report *found, const struct jg_class_report *own)
{
    assert_true(own->epoch > 0 && own->claims > 0);
    assert_true(found->claims == own->claims && found->epoch == own->epoch);
    assert_memory_equal(found->claim_states, own->claim_states, sizeof own->claim_states);
    assert_int_equal(found->counter_count, own->counter_count);
    for (size_t i = 0; i < own->counter_count; i++)
        assert_true(found->counters[i].value == own->counters[i].value);
}

void
a_survey_tells_of_each_class_what_its_report_tells(void **state)
{
    (void)state;
    char *names[] = {subject.class_name};
    (void)claim('a', EXECUTED);
    (void)claim('b', EXECUTED);
    struct surveyed all = survey((struct jg_survey){.walk = true});
    assert_true(all.seen);
    struct surveyed one = survey((struct jg_survey){.names = names, .count = 1, .walk = true, .timeout_ms = 10000});
    struct jg_class_report own = class_report();
    assert_int_equal(one.count, 1);
    expect_same(&one.report, &own);
    expect_same(&all.report, &own);
    assert_int_equal(survey((struct jg_survey){.names = names}).count, 0);
    assert_true(survey((struct jg_survey){.most = 1}).count <= 1);
}
