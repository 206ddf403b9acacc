/* SPDX-License-Identifier: Apache-2.0 */
/* Reports on leases, on one job, and on gauges. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/redis/reply.h"
#include "connectors/redis/report.h"
#include "connectors/redis/resp.h"

/* --- gauges, as runs.lua reads them --- */

struct gauge_read {
    const char *key;
    const char *command; /* that says its value; NULL: not yet known */
    int64_t value;
    enum jg_gauge trouble;
};

static bool
read_type(void *opaque, size_t index, const redisReply *reply)
{
    static const char *const commands[][2] = {{"string", "GETRANGE"}, {"list", "LLEN"}, {"set", "SCARD"},
                                              {"zset", "ZCARD"},      {"hash", "HLEN"}, {"stream", "XLEN"}};
    struct gauge_read *gauge = opaque;
    char type[32];
    (void)index;
    gauge->value = -1;
    gauge->trouble = JG_GAUGE_WRONG;
    if (!jg_reply_text(reply, type, sizeof type))
        return true;
    if (strcmp(type, "none") == 0) {
        gauge->value = 0;
        gauge->trouble = JG_GAUGE_ABSENT;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(type, commands[i][0]) == 0)
            gauge->command = commands[i][1];
    return true;
}

/* A number of at most 15 digits, and what may follow its point: that is cut. */
static bool
parse_whole(char *text, int64_t *out)
{
    size_t whole = strspn(text, "0123456789");
    const char *rest = text[whole] == '.' ? text + whole + 1 : text + whole;
    if (whole == 0 || whole > 15 || rest[strspn(rest, "0123456789")])
        return false;
    *out = 0;
    for (size_t i = 0; i < whole; i++)
        *out = *out * 10 + (text[i] - '0');
    return true;
}

static bool
read_value(void *opaque, size_t index, const redisReply *reply)
{
    struct gauge_read *gauge = opaque;
    char text[32];
    (void)index;
    bool read = reply->type == REDIS_REPLY_INTEGER
                    ? jg_reply_integer(reply, &gauge->value)
                    : jg_reply_text(reply, text, sizeof text) && parse_whole(text, &gauge->value);
    gauge->trouble = read ? JG_GAUGE_FINE : JG_GAUGE_WRONG;
    return true;
}

static enum jg_err
read_gauge(struct jg_report *report, struct gauge_read *gauge)
{
    static const char *const range[] = {"0", "31"};
    struct jg_buf key = JG_BUF_INIT;
    jg_buf_text(&key, gauge->key);
    jg_report_add(report, "TYPE", &key, NULL, 0);
    enum jg_err err = jg_report_ask(report, read_type, gauge);
    if (!err && gauge->command) {
        jg_report_add(report, gauge->command, &key, range, strcmp(gauge->command, "GETRANGE") == 0 ? 2 : 0);
        err = jg_report_ask(report, read_value, gauge);
    }
    jg_buf_clear(&key);
    return err;
}

enum jg_err
jg_report_gauges(struct jg_report *report, struct jg_class_report *out)
{
    struct gauge_read load = {.key = out->load_key}, work = {.key = out->work_key};
    enum jg_err err = load.key[0] ? read_gauge(report, &load) : JG_OK;
    if (!err && work.key[0])
        err = read_gauge(report, &work);
    out->load = load.value;
    out->work = work.value;
    out->gauge = load.trouble;
    if (work.trouble == JG_GAUGE_WRONG && load.trouble != JG_GAUGE_WRONG)
        out->gauge = JG_GAUGE_WORK_WRONG;
    return err;
}

/* --- leases --- */

struct lease_walk {
    struct jg_buf keys; /* found, each with a NUL at its end */
    char by[16];        /* what has a lease, as last told */
    bool exists;        /* the one that was asked for last */
    int64_t now_ms;
    struct jg_lease_report lease;
};

static bool
read_told(void *opaque, size_t index, const redisReply *reply)
{
    struct lease_walk *walk = opaque;
    return index == 0 ? jg_reply_time(reply, &walk->now_ms) : jg_reply_text(reply, walk->by, sizeof walk->by);
}

static void
keep_keys(void *opaque, const redisReply *keys)
{
    struct lease_walk *walk = opaque;
    char key[JG_MEMBER_MAX_BYTES + 512];
    for (size_t i = 0; i < keys->elements; i++)
        if (jg_reply_text(keys->element[i], key, sizeof key))
            jg_buf_append(&walk->keys, key, strlen(key) + 1);
}

static bool
read_lease(void *opaque, size_t index, const redisReply *reply)
{
    struct lease_walk *walk = opaque;
    struct jg_lease_report *lease = &walk->lease;
    (void)index;
    if (!jg_reply_is_array(reply, 2) || !jg_reply_text(reply->element[0], lease->member, sizeof lease->member) ||
        !jg_reply_integer(reply->element[1], &lease->token))
        return false;
    walk->exists = reply->element[1]->type != REDIS_REPLY_NIL;
    return true;
}

/* ZSCORE of its member: nil, or a time that is past, when it is no live one. */
static bool
read_expiry(void *opaque, size_t index, const redisReply *reply)
{
    struct lease_walk *walk = opaque;
    (void)index;
    if (!jg_reply_integer(reply, &walk->lease.expires_ms))
        return false;
    if (walk->lease.expires_ms <= walk->now_ms) {
        walk->lease.expires_ms = 0;
        walk->lease.member[0] = '\0';
    }
    return true;
}

/* The lease of that Redis key. */
static enum jg_err
look_at_lease(struct jg_report *report, const char *class_name, const struct jg_buf *key, struct lease_walk *walk)
{
    static const char *const fields[] = {"m", "tok"};
    struct jg_buf run = jg_report_key(report, class_name, "run", "");
    const char *const member[] = {walk->lease.member};
    walk->exists = false;
    jg_report_add(report, "HMGET", key, fields, 2);
    enum jg_err err = jg_report_ask(report, read_lease, walk);
    if (!err && walk->lease.member[0]) {
        jg_report_add(report, "ZSCORE", &run, member, 1);
        err = jg_report_ask(report, read_expiry, walk);
    }
    jg_buf_clear(&run);
    return err;
}

static enum jg_err
ask_what_is_told(struct jg_report *report, const char *class_name, struct lease_walk *walk)
{
    static const char *const field[] = {"lease"};
    struct jg_buf limits = jg_report_key(report, class_name, "limits", "");
    jg_resp_command(&report->commands, "TIME", (char *)NULL);
    report->count = 1;
    jg_report_add(report, "HGET", &limits, field, 1);
    jg_buf_clear(&limits);
    return jg_report_ask(report, read_told, walk);
}

enum jg_err
jg_redis_leases(struct jg_store *store, const char *class_name,
                void (*each)(void *opaque, const struct jg_lease_report *lease), void *opaque)
{
    struct jg_report report;
    struct lease_walk walk = {.keys = JG_BUF_INIT};
    enum jg_err err = jg_report_begin(&report, store);
    if (!err)
        err = ask_what_is_told(&report, class_name, &walk);
    if (!err && strcmp(walk.by, "key") == 0)
        err = jg_report_scan(&report, class_name, "lease:", keep_keys, NULL, &walk);
    struct jg_buf own = jg_report_key(&report, class_name, "lease", "");
    size_t own_bytes = own.size_bytes;
    if (!own.failed)
        jg_buf_append(&walk.keys, own.data, own.size_bytes + 1);
    if (!err && walk.keys.failed)
        err = JG_ESTORE;
    for (size_t at = 0; !err && at < walk.keys.size_bytes; at += strlen(walk.keys.data + at) + 1) {
        struct jg_buf key = JG_BUF_INIT;
        const char *text = walk.keys.data + at;
        jg_buf_text(&key, text);
        walk.lease = (struct jg_lease_report){.token = 0};
        if (strlen(text) == own_bytes + 1 + JG_KEY_CHARS)
            strcpy(walk.lease.key, text + own_bytes + 1);
        err = look_at_lease(&report, class_name, &key, &walk);
        jg_buf_clear(&key);
        if (!err && walk.exists)
            each(opaque, &walk.lease);
    }
    jg_buf_clear(&own);
    jg_buf_clear(&walk.keys);
    return jg_report_end(&report, err);
}

/* --- one job --- */

struct job_read {
    const char *jid;
    struct jg_job_report *out;
    int64_t now_ms;
};

/* Members and scores; of several live ones the one that expires last. */
static bool
read_members(const struct job_read *read, const redisReply *reply)
{
    size_t size = strlen(read->jid);
    if (!jg_reply_is_array(reply, JG_REPLY_ANY))
        return false;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        char member[JG_MEMBER_MAX_BYTES];
        int64_t expires_ms;
        if (!jg_reply_text(reply->element[i], member, sizeof member) || strncmp(member, read->jid, size) != 0 ||
            member[size] != '@' || !jg_reply_integer(reply->element[i + 1], &expires_ms) ||
            expires_ms <= read->now_ms || expires_ms <= read->out->expires_ms)
            continue;
        strcpy(read->out->member, member);
        read->out->expires_ms = expires_ms;
    }
    return true;
}

static bool
read_job(void *opaque, size_t index, const redisReply *reply)
{
    struct job_read *read = opaque;
    struct jg_job_report *out = read->out;
    int64_t exists;
    switch (index) {
    case 0:
        return jg_reply_time(reply, &read->now_ms);
    case 1:
        if (!jg_reply_integer(reply, &exists))
            return false;
        out->ticket = exists == 1;
        return true;
    case 2:
        if (!jg_reply_is_array(reply, 2) || !jg_reply_text(reply->element[1], out->next, sizeof out->next))
            return false;
        out->done = reply->element[0]->type != REDIS_REPLY_NIL;
        return true;
    case 3:
        if (!jg_reply_is_array(reply, 2) || !jg_reply_integer(reply->element[0], &out->chain_number) ||
            !jg_reply_text(reply->element[1], out->chain_member, sizeof out->chain_member))
            return false;
        out->chain_number = reply->element[0]->type == REDIS_REPLY_NIL ? -1 : out->chain_number;
        return true;
    case 4:
        if (!jg_reply_integer(reply, &out->slot_expires_ms))
            return false;
        out->slot_expires_ms = out->slot_expires_ms > read->now_ms ? out->slot_expires_ms : 0;
        return true;
    default:
        return read_members(read, reply);
    }
}

enum jg_err
jg_redis_job_report(struct jg_store *store, const char *class_name, const char *jid, struct jg_job_report *out)
{
    static const char *const done_fields[] = {"m", "next"}, *const chain_fields[] = {"n", "m"};
    static const char *const all[] = {"0", "-1", "WITHSCORES"};
    const char *const member[] = {jid};
    struct jg_report report;
    struct job_read read = {.jid = jid, .out = out};
    char chain[JG_CHAIN_CHARS + 1];
    snprintf(chain, sizeof chain, "%s", jid);
    *out = (struct jg_job_report){.chain_number = -1};
    enum jg_err err = jg_report_begin(&report, store);
    if (!err) {
        const struct jg_report_question asked[] = {
            {"HEXISTS", "tkt", "", member, 1},
            {"HMGET", "done:", jid, done_fields, 2},
            {"HMGET", "chain:", chain, chain_fields, 2},
            {"ZSCORE", "cap", "", member, 1},
            {"ZRANGE", "run", "", all, 3},
        };
        jg_report_add_time(&report);
        jg_report_add_questions(&report, class_name, asked, sizeof asked / sizeof asked[0]);
        err = jg_report_ask(&report, read_job, &read);
    }
    return jg_report_end(&report, err);
}

/* --- one limit's key --- */

struct key_read {
    const char *limit_key;
    struct jg_key_report *out;
    int64_t now_ms;
};

static bool
read_key(void *opaque, size_t index, const redisReply *reply)
{
    struct key_read *read = opaque;
    struct jg_key_report *out = read->out;
    int64_t until_ms;
    if (index == 0)
        return jg_reply_time(reply, &read->now_ms);
    if (index == 1) {
        if (!jg_reply_integer(reply, &until_ms))
            return false;
        out->marked = until_ms > read->now_ms;
        return true;
    }
    if (!jg_reply_is_array(reply, JG_REPLY_ANY))
        return false;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        struct jg_ticket_report ticket;
        char text[JG_MEMBER_MAX_BYTES + JG_KEY_CHARS + 32];
        const char *rest;
        if (index == 2)
            out->running += jg_reply_integer(reply->element[i + 1], &until_ms) && until_ms > read->now_ms;
        else
            out->tickets += jg_reply_text(reply->element[i + 1], text, sizeof text) &&
                            jg_reply_numbered(text, &ticket.taken_ms, &rest) && jg_reply_ticket(rest, &ticket) &&
                            strcmp(ticket.limit_key, read->limit_key) == 0;
    }
    return true;
}

enum jg_err
jg_redis_key_report(struct jg_store *store, const char *class_name, const char *limit_key, struct jg_key_report *out)
{
    static const char *const all[] = {"0", "-1", "WITHSCORES"};
    const char *const member[] = {limit_key};
    struct jg_report report;
    struct key_read read = {.limit_key = limit_key, .out = out};
    *out = (struct jg_key_report){.running = 0};
    enum jg_err err = jg_report_begin(&report, store);
    if (!err) {
        const struct jg_report_question asked[] = {
            {"ZSCORE", "heldk", "", member, 1},
            {"ZRANGE", "run:", limit_key, all, 3},
            {"HGETALL", "tkt", "", NULL, 0},
        };
        jg_report_add_time(&report);
        jg_report_add_questions(&report, class_name, asked, sizeof asked / sizeof asked[0]);
        err = jg_report_ask(&report, read_key, &read);
    }
    return jg_report_end(&report, err);
}
