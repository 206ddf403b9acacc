/* SPDX-License-Identifier: Apache-2.0 */
/* What the `jobgate` command reads. Each report has a connection of its own, so that it never stands in a job's way. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/redis/reply.h"
#include "connectors/redis/report.h"
#include "connectors/redis/resp.h"

#define SCAN_COUNT "1000"

enum jg_err
jg_report_begin(struct jg_report *report, struct jg_store *store)
{
    *report = (struct jg_report){.redis = (struct jg_redis *)store};
    return jg_conn_open(&report->conn, &report->redis->url, false, jg_clock_ms() + report->redis->timeout_ms,
                        &report->trouble);
}

enum jg_err
jg_report_end(struct jg_report *report, enum jg_err err)
{
    if (err && !report->quiet)
        jg_log(report->redis->log, JG_LOG_ERROR, "STORE", "jobgate.store %s: %s", report->redis->url.display,
               report->trouble.kind ? report->trouble.error.text : "an answer that makes no sense");
    jg_conn_close(&report->conn);
    jg_buf_clear(&report->commands);
    return err;
}

struct jg_buf
jg_report_key(const struct jg_report *report, const char *class_name, const char *what, const char *id)
{
    struct jg_buf key = JG_BUF_INIT;
    jg_script_key_text(&key, report->redis->prefix, class_name, what, id);
    return key;
}

void
jg_report_add(struct jg_report *report, const char *command, const struct jg_buf *key, const char *const *arguments,
              size_t count)
{
    if (key->failed) {
        report->commands.failed = true;
        return;
    }
    jg_resp_begin(&report->commands, 2 + count);
    jg_resp_text(&report->commands, command);
    jg_resp_bytes(&report->commands, key->data, key->size_bytes);
    for (size_t i = 0; i < count; i++)
        jg_resp_text(&report->commands, arguments[i]);
    report->count++;
}

void
jg_report_add_questions(struct jg_report *report, const char *class_name, const struct jg_report_question *asked,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct jg_buf key = jg_report_key(report, class_name, asked[i].what, asked[i].id);
        jg_report_add(report, asked[i].command, &key, asked[i].arguments, asked[i].count);
        jg_buf_clear(&key);
    }
}

enum jg_err
jg_report_ask(struct jg_report *report, bool (*each)(void *opaque, size_t index, const redisReply *reply), void *opaque)
{
    int64_t deadline_ms = jg_clock_ms() + report->redis->timeout_ms;
    struct jg_buf sent = report->commands;
    size_t count = report->count;
    if (report->deadline_ms && report->deadline_ms < deadline_ms)
        deadline_ms = report->deadline_ms;
    report->commands = (struct jg_buf)JG_BUF_INIT; /* `each` may add the next ones */
    report->count = 0;
    enum jg_err err = jg_conn_exchange(&report->conn, &sent, count, each, opaque, deadline_ms, &report->trouble);
    jg_buf_clear(&sent);
    return err;
}

void
jg_report_add_time(struct jg_report *report)
{
    jg_resp_command(&report->commands, "TIME", (char *)NULL);
    report->count++;
}

struct scan {
    char cursor[24];
    void (*each)(void *opaque, const redisReply *keys);
    void *opaque;
};

static bool
read_scan(void *opaque, size_t index, const redisReply *reply)
{
    struct scan *scan = opaque;
    (void)index;
    if (!jg_reply_is_array(reply, 2) || !jg_reply_text(reply->element[0], scan->cursor, sizeof scan->cursor) ||
        !jg_reply_is_array(reply->element[1], JG_REPLY_ANY))
        return false;
    scan->each(scan->opaque, reply->element[1]);
    return true;
}

enum jg_err
jg_report_scan(struct jg_report *report, const char *class_name, const char *what,
               void (*each)(void *opaque, const redisReply *keys),
               bool (*answer)(void *opaque, size_t index, const redisReply *reply), void *opaque)
{
    struct scan scan = {.cursor = "0", .each = each, .opaque = opaque};
    struct jg_buf pattern = jg_report_key(report, class_name, what, "*");
    enum jg_err err = pattern.failed ? JG_ESTORE : JG_OK;
    do {
        if (err)
            break;
        jg_resp_command(&report->commands, "SCAN", scan.cursor, "MATCH", pattern.data, "COUNT", SCAN_COUNT,
                        (char *)NULL);
        report->count = 1;
        err = jg_report_ask(report, read_scan, &scan);
        if (!err && report->count > 0)
            err = jg_report_ask(report, answer, opaque);
    } while (strcmp(scan.cursor, "0") != 0);
    jg_buf_clear(&pattern);
    return err;
}

/* --- classes --- */

struct class_walk {
    void (*each)(void *opaque, const char *class_name);
    void *opaque;
};

static bool
read_classes(void *opaque, size_t index, const redisReply *reply)
{
    const struct class_walk *walk = opaque;
    char name[JG_CLASS_MAX_BYTES + 1];
    (void)index;
    if (!jg_reply_is_array(reply, JG_REPLY_ANY))
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (jg_reply_text(reply->element[i], name, sizeof name))
            walk->each(walk->opaque, name);
    return true;
}

enum jg_err
jg_report_classes(struct jg_report *report, void (*each)(void *opaque, const char *class_name), void *opaque)
{
    struct class_walk walk = {.each = each, .opaque = opaque};
    struct jg_buf key = JG_BUF_INIT;
    jg_buf_text(&key, report->redis->prefix);
    jg_buf_text(&key, "classes");
    jg_report_add(report, "SMEMBERS", &key, NULL, 0);
    jg_buf_clear(&key);
    return jg_report_ask(report, read_classes, &walk);
}

enum jg_err
jg_redis_classes(struct jg_store *store, void (*each)(void *opaque, const char *class_name), void *opaque)
{
    struct jg_report report;
    enum jg_err err = jg_report_begin(&report, store);
    if (!err)
        err = jg_report_classes(&report, each, opaque);
    return jg_report_end(&report, err);
}

/* --- a claim --- */

struct claim_read {
    const struct jg_conn *conn;
    struct jg_claim_report *out;
    int64_t epoch;
    int64_t ttl_ms;
};

/* Is `<run_id> <number>`, settled or new, the epoch of the server that we speak to, and the claim's? */
static bool
is_current(const char *stored, const char *run_id, int64_t claim_epoch)
{
    char expected[JG_RUN_ID_MAX_CHARS + 24];
    snprintf(expected, sizeof expected, "%s %" PRId64, run_id, claim_epoch);
    size_t size = strlen(expected);
    return strncmp(stored, expected, size) == 0 && (!stored[size] || strcmp(stored + size, " new") == 0);
}

static bool
read_claim(void *opaque, size_t index, const redisReply *reply)
{
    struct claim_read *read = opaque;
    char stored[JG_RUN_ID_MAX_CHARS + 32];
    if (index == 0)
        return jg_reply_claim_fields(reply, read->out, &read->epoch);
    if (index == 1)
        return jg_reply_integer(reply, &read->ttl_ms);
    if (index == 2)
        return jg_reply_text(reply, read->out->newest_follow_up, sizeof read->out->newest_follow_up);
    if (!jg_reply_text(reply, stored, sizeof stored))
        return false;
    if (read->out->state != JG_CLAIM_NONE) {
        read->out->ttl_ms = read->ttl_ms > 0 ? read->ttl_ms : 0;
        read->out->old_epoch = !is_current(stored, read->conn->run_id, read->epoch);
        if (read->out->state != JG_CLAIM_RUNNING)
            read->out->member[0] = '\0';
    }
    if (strcmp(read->out->newest_follow_up, read->out->owner) == 0 || read->out->state == JG_CLAIM_NONE)
        read->out->newest_follow_up[0] = '\0';
    return true;
}

enum jg_err
jg_redis_claim_report(struct jg_store *store, const char *class_name, const char *key, struct jg_claim_report *out)
{
    static const char *const fields[JG_REPLY_CLAIM_FIELDS] = {"jid", "st", "ep", "at", "mode", "n", "cn", "ca", "run"};
    static const char *const follow_up = "jid";
    struct jg_report report;
    enum jg_err err = jg_report_begin(&report, store);
    if (!err) {
        struct claim_read read = {.conn = &report.conn, .out = out};
        struct jg_buf claim = jg_report_key(&report, class_name, "claim:", key);
        struct jg_buf fol = jg_report_key(&report, class_name, "fol:", key);
        struct jg_buf epoch = jg_report_key(&report, class_name, "epoch", "");
        jg_report_add(&report, "HMGET", &claim, fields, JG_REPLY_CLAIM_FIELDS);
        jg_report_add(&report, "PTTL", &claim, NULL, 0);
        jg_report_add(&report, "HGET", &fol, &follow_up, 1);
        jg_report_add(&report, "GET", &epoch, NULL, 0);
        err = jg_report_ask(&report, read_claim, &read);
        jg_buf_clear(&claim);
        jg_buf_clear(&fol);
        jg_buf_clear(&epoch);
    }
    return jg_report_end(&report, err);
}

/* --- was --- */

static bool
read_exists(void *opaque, size_t index, const redisReply *reply)
{
    int64_t exists;
    (void)index;
    if (!jg_reply_integer(reply, &exists))
        return false;
    *(bool *)opaque = exists == 1;
    return true;
}

enum jg_err
jg_redis_was(struct jg_store *store, const char *class_name, const char *jid, bool *out)
{
    struct jg_report report;
    enum jg_err err = jg_report_begin(&report, store);
    if (!err) {
        struct jg_buf was = jg_report_key(&report, class_name, "was:", jid);
        jg_report_add(&report, "EXISTS", &was, NULL, 0);
        err = jg_report_ask(&report, read_exists, out);
        jg_buf_clear(&was);
    }
    return jg_report_end(&report, err);
}

/* --- tickets --- */

struct ticket_walk {
    void (*each)(void *opaque, const struct jg_ticket_report *ticket);
    void *opaque;
};

static bool
read_tickets(void *opaque, size_t index, const redisReply *reply)
{
    const struct ticket_walk *walk = opaque;
    (void)index;
    if (!jg_reply_is_array(reply, JG_REPLY_ANY))
        return false;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        struct jg_ticket_report ticket;
        char text[JG_MEMBER_MAX_BYTES + JG_KEY_CHARS + 32];
        const char *position;
        if (!jg_reply_text(reply->element[i], ticket.jid, sizeof ticket.jid) ||
            !jg_reply_text(reply->element[i + 1], text, sizeof text) ||
            !jg_reply_numbered(text, &ticket.taken_ms, &position) || !jg_reply_ticket(position, &ticket))
            continue;
        walk->each(walk->opaque, &ticket);
    }
    return true;
}

enum jg_err
jg_redis_tickets(struct jg_store *store, const char *class_name,
                 void (*each)(void *opaque, const struct jg_ticket_report *ticket), void *opaque)
{
    struct jg_report report;
    struct ticket_walk walk = {.each = each, .opaque = opaque};
    enum jg_err err = jg_report_begin(&report, store);
    if (!err) {
        struct jg_buf tkt = jg_report_key(&report, class_name, "tkt", "");
        jg_report_add(&report, "HGETALL", &tkt, NULL, 0);
        err = jg_report_ask(&report, read_tickets, &walk);
        jg_buf_clear(&tkt);
    }
    return jg_report_end(&report, err);
}

/* --- duplicates --- */

struct duplicate_walk {
    void (*each)(void *opaque, const struct jg_duplicate_report *duplicate);
    void *opaque;
};

static bool
read_duplicates(void *opaque, size_t index, const redisReply *reply)
{
    const struct duplicate_walk *walk = opaque;
    struct jg_duplicate_report duplicate;
    (void)index;
    if (!jg_reply_is_array(reply, JG_REPLY_ANY))
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (jg_reply_duplicate(reply->element[i], &duplicate))
            walk->each(walk->opaque, &duplicate);
    return true;
}

enum jg_err
jg_redis_duplicates(struct jg_store *store, const char *class_name,
                    void (*each)(void *opaque, const struct jg_duplicate_report *duplicate), void *opaque)
{
    struct jg_report report;
    struct duplicate_walk walk = {.each = each, .opaque = opaque};
    enum jg_err err = jg_report_begin(&report, store);
    if (!err) {
        struct jg_buf dups = jg_report_key(&report, class_name, "dups", "");
        jg_report_add(&report, "LRANGE", &dups, (const char *const[]){"0", "-1"}, 2);
        err = jg_report_ask(&report, read_duplicates, &walk);
        jg_buf_clear(&dups);
    }
    return jg_report_end(&report, err);
}
