/* SPDX-License-Identifier: Apache-2.0 */
/* A job is enqueued again at its end: while load is below capacity to its own topic, else, and when it failed, to its
 * holding topic. */
#include "base/clock.h"
#include "connectors/kafka/holder.h"
#include "plugin/coming.h"
#include "plugin/counters.h"
#include "plugin/successor.h"

void
jg_again_tell_gauge(struct jg_gate *gate, const char *class_name, const struct jg_op *op)
{
    static const char *const texts[] = {
        [JG_GAUGE_ABSENT] = "the key of capacity.load does not exist: the load counts as 0",
        [JG_GAUGE_WRONG] = "the key of capacity.load holds no number and no collection: the load counts as full",
        [JG_GAUGE_WORK_WRONG] = "the key of capacity.work holds no number and no collection: work counts as left",
    };
    if (op->gauge == JG_GAUGE_FINE)
        return;
    jg_count(JG_COUNT_GAUGE_TROUBLE, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_GAUGE], op->gauge == JG_GAUGE_ABSENT ? JG_LOG_INFO : JG_LOG_ERROR,
                 "GAUGE", "class %s: %s (%s)", class_name, texts[op->gauge],
                 op->gauge == JG_GAUGE_WORK_WRONG ? op->work_key : op->load_key);
}

static enum jg_err
cannot(struct jg_gate *gate, struct jg_run *run, const struct jg_error *error)
{
    jg_count(JG_COUNT_HOLD_FAILURE, 1);
    jg_log_rated(
        &gate->log, &gate->rates[JG_RATE_AGAIN], JG_LOG_ERROR, "AGAIN",
        "class %s: job %s at %s/%d/%lld cannot be enqueued again: %s; its offset stays open, so it is delivered "
        "again to whoever consumes the partition next",
        run->class_name, run->jid, run->topic, (int)run->partition, (long long)run->offset, error->text);
    jg_run_destroy(run);
    return JG_ENOMEM;
}

enum jg_err
jg_again(struct jg_gate *gate, struct jg_run *run, const struct jg_op *op, int64_t wait_ms)
{
    const struct jg_successor again = {
        .jid = op->next,
        .waits = op->next_waits,
        .failed = run->failed,
        .retry_ms = run->retry_ms,
        .partition = run->partition,
        .offset = run->offset,
        .time_ms = run->time_ms,
    };
    struct jg_stamp stamp;
    struct jg_error error = {.text = "out of memory"};
    struct jg_holder *holder = run->copy ? jg_defer_holder(gate, &error) : NULL;
    if (!holder)
        return cannot(gate, run, &error);
    jg_successor_stamp(&run->copy->stamp, &again, jg_wall_ms(), &stamp);
    if (jg_deferral_readdress(gate->rdk, gate->settings->name_space, run->copy, &stamp,
                              again.waits ? JG_TARGET_HELD : JG_TARGET_ORIGIN) != JG_OK)
        return cannot(gate, run, &error);
    jg_count(JG_COUNT_COMPLETED, run->in_store);
    jg_count(JG_COUNT_FAILED, run->failed);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_AGAIN], JG_LOG_INFO, "AGAIN",
                 "class %s: job %s has %s and is enqueued again as %s%s%s", run->class_name, run->jid,
                 run->failed ? "failed" : "ended", stamp.jid, again.waits ? ", held: " : "",
                 again.waits ? jg_reason_name(stamp.held_reason) : "");
    struct jg_event event = JG_EVENT_INIT(run->failed ? JG_EVENT_FAILED : JG_EVENT_REENQUEUED);
    event.next = stamp.jid;
    event.reason = again.waits ? jg_reason_name(stamp.held_reason) : NULL;
    event.attempt = stamp.attempt;
    jg_tell_run(gate, run, event);
    enum jg_err err = jg_holder_take(holder, run->copy, wait_ms, &error);
    run->copy = NULL;
    if (err == JG_OK && wait_ms)
        jg_gate_finish_offset(gate, run->topic, run->partition, run->offset);
    jg_run_destroy(run);
    return err;
}
