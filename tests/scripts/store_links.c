/* SPDX-License-Identifier: Apache-2.0 */
/* See store_links.h. */
#include "store_links.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void
set_work(int64_t value)
{
    subject_set_gauge(&subject, gauge_of("work"), value);
}

const char *
link_of(char letter, unsigned number)
{
    return link_of_chain(job(letter), number);
}

struct jg_op
linked(enum jg_op_kind kind, char letter, unsigned number, unsigned position)
{
    struct jg_op op = operation(kind, letter);
    op.jid = link_of(letter, number);
    op.member = member_at(op.jid, 1, position);
    op.capacity = CAPACITY;
    op.load_key = gauge_of("load");
    op.work_key = gauge_of("work");
    op.done_ttl_ms = DONE_TTL_MS;
    return op;
}

struct jg_op
admit_link(char letter, unsigned number, unsigned position)
{
    return done(linked(JG_OP_ADMIT, letter, number, position));
}

struct jg_op
complete_link(char letter, unsigned number, unsigned position)
{
    return done(linked(JG_OP_COMPLETE, letter, number, position));
}

void
expect_skipped(struct jg_op op, enum jg_reason reason)
{
    assert_int_equal(op.verdict, JG_SKIP);
    assert_string_equal(jg_reason_name(op.reason), jg_reason_name(reason));
    assert_string_equal(op.original, "");
}

void
arrange_gauges(int64_t load, int64_t work)
{
    set_load(load);
    set_work(work);
}

void
expect_next(struct jg_op op, const char *next, bool waits)
{
    assert_true(op.changed);
    assert_string_equal(op.next, next);
    assert_int_equal(op.next_waits, waits);
}
