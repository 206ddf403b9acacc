/* SPDX-License-Identifier: Apache-2.0 */
#include "store_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
                          .run_ttl_ms = RUN_TTL_MS};
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
    if (state == JG_CLAIM_RUNNING)
        expect_run(admit_on('a', 1));
    expect_claim(state, 'a');
}
