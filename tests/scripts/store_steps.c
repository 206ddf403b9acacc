/* SPDX-License-Identifier: Apache-2.0 */
#include "store_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct subject subject;

const char *
job(char letter)
{
    return jid_of(0, (unsigned)(letter - 'a'));
}

struct jg_op
operation(enum jg_op_kind kind, char letter)
{
    return (struct jg_op){.kind = kind,
                          .class_name = subject.class_name,
                          .key = key_of(0),
                          .jid = job(letter),
                          .member = member_of(job(letter), 1),
                          .dedup = JG_DEDUP_UNTIL_EXECUTING,
                          .dedup_ttl_ms = TTL_MS,
                          .dedup_provisional_ms = PROVISIONAL_MS,
                          .run_ttl_ms = RUN_TTL_MS,
                          .grace_ms = GRACE_MS,
                          .held_in = -1};
}

struct jg_op
done(struct jg_op op)
{
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_OK);
    assert_int_equal(op.err, JG_OK);
    return op;
}

struct jg_op
claim(char letter, int mode)
{
    struct jg_op op = operation(JG_OP_CLAIM, letter);
    op.dedup = (enum jg_dedup)mode;
    return done(op);
}

bool
confirm(char letter)
{
    return done(operation(JG_OP_CONFIRM, letter)).changed;
}

bool
keep(char letter)
{
    return done(operation(JG_OP_KEEP, letter)).changed;
}

bool
release(char letter)
{
    return done(operation(JG_OP_RELEASE, letter)).changed;
}

struct jg_op
admit(char letter, int mode)
{
    struct jg_op op = operation(JG_OP_ADMIT, letter);
    op.dedup = (enum jg_dedup)mode;
    return done(op);
}

struct jg_op
admit_candidate(char letter, int mode, char original)
{
    struct jg_op op = operation(JG_OP_ADMIT, letter);
    op.dedup = (enum jg_dedup)mode;
    op.candidate_of = job(original);
    return done(op);
}

struct jg_op
admit_on(char letter, unsigned instance)
{
    struct jg_op op = operation(JG_OP_ADMIT, letter);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.member = member_of(op.jid, instance);
    return done(op);
}

struct jg_op
admit_paused(char letter)
{
    struct jg_op op = operation(JG_OP_ADMIT, letter);
    op.limit = -1;
    return done(op);
}

struct jg_op
renew_on(char letter, unsigned instance, int64_t epoch_in)
{
    struct jg_op op = operation(JG_OP_RENEW, letter);
    op.member = member_of(op.jid, instance);
    op.epoch_in = epoch_in;
    return done(op);
}

bool
complete_on(char letter, unsigned instance)
{
    struct jg_op op = operation(JG_OP_COMPLETE, letter);
    op.member = member_of(op.jid, instance);
    return done(op).changed;
}

struct jg_op
limited(char letter, int64_t limit)
{
    struct jg_op op = operation(JG_OP_ADMIT, letter);
    op.limit = limit;
    return op;
}

struct jg_op
resumed(char letter, int64_t limit)
{
    struct jg_op op = limited(letter, limit);
    op.resumed = true;
    return op;
}

struct jg_op
admit_limited(char letter, int64_t limit)
{
    return done(limited(letter, limit));
}

struct jg_op
admit_resumed(char letter, int64_t limit)
{
    return done(resumed(letter, limit));
}

struct jg_op
take(const char *letters, int held)
{
    struct jg_op op = operation(JG_OP_TAKE, 'a');
    const char *items[16];
    for (; letters[op.item_count]; op.item_count++)
        items[op.item_count] = job(letters[op.item_count]);
    op.items = items;
    op.held_in = held;
    op.oldest_held_in = 17;
    op = done(op);
    op.items = NULL;
    return op;
}

bool
drop(char letter)
{
    const char *const items[] = {job(letter)};
    struct jg_op op = operation(JG_OP_DROP, letter);
    op.items = items;
    op.item_count = 1;
    return done(op).changed;
}

void
tell(int64_t limit, int64_t ahead)
{
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.member = "instance1";
    op.limit = limit;
    op.resume_ahead = ahead;
    op.hold_max_age_ms = 60000;
    (void)done(op);
}

struct jg_override
set_override(bool set, int64_t limit)
{
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.member = NULL;
    op.override_in = (struct jg_override){.set = set, .limit = limit};
    op.override_now = true;
    return done(op).override;
}

struct jg_class_report
class_report(void)
{
    struct jg_class_report found;
    assert_int_equal(jg_store_class_report(subject.store, subject.class_name, &found), JG_OK);
    return found;
}

int64_t
counter(const char *name)
{
    struct jg_class_report found = class_report();
    for (size_t i = 0; i < found.counter_count; i++)
        if (strcmp(found.counters[i].name, name) == 0)
            return found.counters[i].value;
    fail_msg("no counter %s", name);
    return -1;
}

struct jg_claim_report
report(void)
{
    struct jg_claim_report found;
    assert_int_equal(jg_store_claim_report(subject.store, subject.class_name, key_of(0), &found), JG_OK);
    return found;
}

bool
was(char letter)
{
    bool found = false;
    assert_int_equal(jg_store_was(subject.store, subject.class_name, job(letter), &found), JG_OK);
    return found;
}

void
expect_claimed(struct jg_op op, enum jg_claimed claimed, char original, enum jg_claim_state state)
{
    assert_int_equal(op.claimed, claimed);
    assert_int_equal(op.original_state, state);
    assert_string_equal(op.original, claimed == JG_ORIGINAL ? "" : job(original));
}

void
expect_run(struct jg_op op)
{
    assert_int_equal(op.verdict, JG_RUN);
    assert_int_equal(op.reason, JG_REASON_NONE);
    assert_string_equal(op.original, "");
    assert_true(op.epoch > 0);
}

void
expect_hold(struct jg_op op, enum jg_reason reason)
{
    assert_int_equal(op.verdict, JG_HOLD);
    assert_string_equal(jg_reason_name(op.reason), jg_reason_name(reason));
    assert_string_equal(op.original, "");
    assert_true(op.epoch > 0);
}

void
expect_later(struct jg_op op, enum jg_reason reason)
{
    assert_int_equal(op.verdict, JG_LATER);
    assert_string_equal(jg_reason_name(op.reason), jg_reason_name(reason));
    assert_string_equal(op.original, "");
    assert_true(op.epoch > 0);
}

void
expect_skip(struct jg_op op, char original)
{
    assert_int_equal(op.verdict, JG_SKIP);
    assert_string_equal(op.original, job(original));
    assert_true(op.epoch > 0);
}

void
expect_claim(enum jg_claim_state state, char owner)
{
    struct jg_claim_report found = report();
    assert_string_equal(jg_claim_state_name(found.state), jg_claim_state_name(state));
    if (state != JG_CLAIM_NONE)
        assert_string_equal(found.owner, job(owner));
}

void
expect_no_claim(void)
{
    expect_claim(JG_CLAIM_NONE, 0);
}

void
arrange(enum jg_claim_state state, int mode)
{
    if (state == JG_CLAIM_NONE)
        return;
    expect_claimed(claim('a', mode), JG_ORIGINAL, 0, JG_CLAIM_NONE);
    if (state >= JG_CLAIM_QUEUED)
        assert_true(confirm('a'));
    if (state == JG_CLAIM_HELD)
        expect_hold(admit_paused('a'), JG_REASON_PAUSED);
    if (state == JG_CLAIM_RUNNING)
        expect_run(admit_on('a', 1));
    expect_claim(state, 'a');
}

const char *
gauge_of(const char *what)
{
    static char texts[2][96];
    char *text = texts[what[0] == 'l'];
    snprintf(text, sizeof texts[0], "%s-of-%s", what, subject.class_name);
    return text;
}

void
set_load(int64_t value)
{
    subject_set_gauge(&subject, gauge_of("load"), value);
}
