/* SPDX-License-Identifier: Apache-2.0 */
/* Reports on capacity slots. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/redis/reply.h"
#include "connectors/redis/report.h"
#include "connectors/redis/resp.h"

struct slots_read {
    struct jg_class_report *out;
    int64_t over; /* whose time is over, and which nobody has removed yet */
};

static bool
read_counts(void *opaque, size_t index, const redisReply *reply)
{
    struct slots_read *read = opaque;
    return jg_reply_integer(reply, index == 0 ? &read->over : &read->out->load);
}

/* A member and its score; an empty list when it went meanwhile. */
static bool
read_end(void *opaque, size_t index, const redisReply *reply)
{
    struct slots_read *read = opaque;
    if (!jg_reply_is_array(reply, JG_REPLY_ANY))
        return false;
    return reply->elements < 2 || jg_reply_integer(reply->element[1], &read->out->slots_until_ms[index]);
}

enum jg_err
jg_report_slots(struct jg_report *report, const char *class_name, struct jg_class_report *out)
{
    struct slots_read read = {.out = out};
    char now_text[24], first_text[24];
    snprintf(now_text, sizeof now_text, "(%" PRId64, report->now_ms);
    const char *const over[] = {"-inf", now_text + 1}, *const live[] = {now_text, "+inf"};
    struct jg_buf key = jg_report_key(report, class_name, "cap", "");
    jg_report_add(report, "ZCOUNT", &key, over, 2);
    jg_report_add(report, "ZCOUNT", &key, live, 2);
    enum jg_err err = jg_report_ask(report, read_counts, &read);
    snprintf(first_text, sizeof first_text, "%" PRId64, read.over);
    const char *const first[] = {first_text, first_text, "WITHSCORES"}, *const last[] = {"-1", "-1", "WITHSCORES"};
    if (!err && out->load) {
        jg_report_add(report, "ZRANGE", &key, first, 3);
        jg_report_add(report, "ZRANGE", &key, last, 3);
        err = jg_report_ask(report, read_end, &read);
    }
    jg_buf_clear(&key);
    return err;
}

struct slots_walk {
    struct jg_buf slots; /* of jg_slot_report */
    int64_t now_ms;
};

static bool
read_slots(void *opaque, size_t index, const redisReply *reply)
{
    struct slots_walk *walk = opaque;
    if (index == 0)
        return jg_reply_time(reply, &walk->now_ms);
    if (!jg_reply_is_array(reply, JG_REPLY_ANY))
        return false;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        struct jg_slot_report slot = {.expires_ms = 0};
        if (jg_reply_text(reply->element[i], slot.jid, sizeof slot.jid) &&
            jg_reply_integer(reply->element[i + 1], &slot.expires_ms) && slot.expires_ms > walk->now_ms)
            jg_buf_append(&walk->slots, &slot, sizeof slot);
    }
    return true;
}

enum jg_err
jg_redis_slots(struct jg_store *store, const char *class_name,
               void (*each)(void *opaque, const struct jg_slot_report *slot), void *opaque)
{
    static const char *const all[] = {"0", "-1", "WITHSCORES"};
    struct jg_report report;
    struct slots_walk walk = {.slots = JG_BUF_INIT};
    enum jg_err err = jg_report_begin(&report, store);
    if (!err) {
        jg_report_add_time(&report);
        struct jg_buf key = jg_report_key(&report, class_name, "cap", "");
        jg_report_add(&report, "ZRANGE", &key, all, 3);
        jg_buf_clear(&key);
        err = jg_report_ask(&report, read_slots, &walk);
    }
    if (!err && walk.slots.failed)
        err = JG_ESTORE;
    for (size_t at = 0; !err && at < walk.slots.size_bytes; at += sizeof(struct jg_slot_report)) {
        struct jg_slot_report slot;
        memcpy(&slot, walk.slots.data + at, sizeof slot);
        each(opaque, &slot);
    }
    jg_buf_clear(&walk.slots);
    return jg_report_end(&report, err);
}
