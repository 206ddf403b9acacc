/* SPDX-License-Identifier: Apache-2.0 */
/* Reports on classes: one, or all for the metrics on one connection. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/redis/reply.h"
#include "connectors/redis/report.h"
#include "connectors/redis/resp.h"

struct class_read {
    struct jg_report *report;
    struct jg_class_report *out;
    char lease_owner[JG_MEMBER_MAX_BYTES]; /* the run that got the class's own lease last; empty: it gave it back */
};

static bool
read_now(void *opaque, size_t index, const redisReply *reply)
{
    struct jg_report *report = opaque;
    (void)index;
    return jg_reply_time(reply, &report->now_ms);
}

static bool
read_tallies(const redisReply *reply, struct jg_class_report *out)
{
    if (!jg_reply_is_array(reply, JG_TALLIES))
        return false;
    out->counter_count = JG_TALLIES;
    for (size_t i = 0; i < JG_TALLIES; i++) {
        out->counters[i].name = jg_tally_names[i];
        if (!jg_reply_integer(reply->element[i], &out->counters[i].value))
            return false;
    }
    return true;
}

/* The fields of `limits`: limit, override, lease, capacity, load, work, per_key, ahead, paced. */
static bool
read_limits(const redisReply *reply, struct jg_class_report *out)
{
    char text[48], lease[16], ahead[24];
    const char *rest;
    if (!jg_reply_is_array(reply, 9) || !jg_reply_text(reply->element[2], lease, sizeof lease) ||
        (lease[0] && !jg_lease_parse(lease, strlen(lease), &out->lease)) ||
        !jg_reply_integer(reply->element[3], &out->capacity) || !jg_reply_integer(reply->element[6], &out->per_key) ||
        !jg_reply_text(reply->element[4], out->load_key, sizeof out->load_key) ||
        !jg_reply_text(reply->element[5], out->work_key, sizeof out->work_key) ||
        !jg_reply_integer(reply->element[0], &out->limit) || !jg_reply_text(reply->element[1], text, sizeof text) ||
        !jg_reply_text(reply->element[7], ahead, sizeof ahead))
        return false;
    out->paced = strcmp(ahead, "auto") == 0;
    if (!jg_reply_integer(reply->element[out->paced ? 8 : 7], &out->ahead))
        return false;
    out->slots = strcmp(out->load_key, JG_LOAD_SLOTS) == 0;
    if (out->slots)
        out->load_key[0] = '\0';
    out->told = reply->element[0]->type != REDIS_REPLY_NIL;
    char *space = strchr(text, ' ');
    if (!space)
        return true;
    *space = '\0';
    strcat(space + 1, " ");
    return jg_reply_override(text, &out->override) && jg_reply_numbered(space + 1, &out->override.at_ms, &rest);
}

/* An array of names and values, as HGETALL says it. */
static bool
read_instances(const redisReply *reply, struct class_read *read)
{
    if (!jg_reply_is_array(reply, JG_REPLY_ANY))
        return false;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        char name[JG_MEMBER_MAX_BYTES], text[64];
        int64_t limit, told_ms;
        const char *rest;
        if (!jg_reply_text(reply->element[i], name, sizeof name) ||
            !jg_reply_text(reply->element[i + 1], text, sizeof text - 1) || !strchr(text, ' '))
            continue;
        strcat(text, " ");
        if (jg_reply_numbered(text, &limit, &rest) && jg_reply_numbered(rest, &told_ms, &rest))
            jg_report_instance(read->out, name, limit, told_ms, read->report->now_ms);
    }
    return true;
}

/* `<run_id> <number>`, and more. */
static bool
read_epoch(const redisReply *reply, struct jg_class_report *out)
{
    char text[JG_RUN_ID_MAX_CHARS + 40];
    if (!jg_reply_text(reply, text, sizeof text - 1))
        return false;
    const char *number = strchr(text, ' '), *rest;
    strcat(text, " ");
    if (number && !jg_reply_numbered(number + 1, &out->epoch, &rest))
        out->epoch = 0;
    return true;
}

static bool
read_class(void *opaque, size_t index, const redisReply *reply)
{
    struct class_read *read = opaque;
    struct jg_class_report *out = read->out;
    switch (index) {
    case 0:
        return read_tallies(reply, out);
    case 1:
        return jg_reply_integer(reply, &out->running);
    case 2:
        return read_limits(reply, out);
    case 3:
        return jg_reply_integer(reply, &out->tickets);
    case 4:
        return jg_reply_is_array(reply, 2) && jg_reply_integer(reply->element[0], &out->held) &&
               jg_reply_integer(reply->element[1], &out->oldest_held_ms);
    case 5:
        return read_instances(reply, read);
    case 6:
        return read_epoch(reply, out);
    default:
        return jg_reply_is_array(reply, 2) &&
               jg_reply_text(reply->element[0], read->lease_owner, sizeof read->lease_owner) &&
               jg_reply_integer(reply->element[1], &out->lease_token);
    }
}

static void
ask_of_class(struct jg_report *report, const char *class_name, const char *now_text)
{
    static const char *const limits_fields[] = {"limit", "override", "lease", "capacity", "load",
                                                "work",  "per_key",  "ahead", "paced"},
                             *const held_fields[] = {"n", "oldest"}, *const lease_fields[] = {"m", "tok"};
    const char *const live[] = {now_text, "+inf"};
    const struct jg_report_question asked[] = {
        {"HMGET", "stats", "", jg_tally_names, JG_TALLIES},
        {"ZCOUNT", "run", "", live, 2},
        {"HMGET", "limits", "", limits_fields, 9},
        {"HLEN", "tkt", "", NULL, 0},
        {"HMGET", "held", "", held_fields, 2},
        {"HGETALL", "instances", "", NULL, 0},
        {"GET", "epoch", "", NULL, 0},
        {"HMGET", "lease", "", lease_fields, 2},
    };
    jg_report_add_questions(report, class_name, asked, sizeof asked / sizeof asked[0]);
}

/* --- claims, walked --- */

static void
ask_for_states(void *opaque, const redisReply *keys)
{
    static const char *const field[] = {"st"};
    struct class_read *read = opaque;
    for (size_t i = 0; i < keys->elements; i++) {
        struct jg_buf key = JG_BUF_INIT;
        if (keys->element[i]->type != REDIS_REPLY_STRING)
            continue;
        jg_buf_append(&key, keys->element[i]->str, (size_t)keys->element[i]->len);
        jg_report_add(read->report, "HGET", &key, field, 1);
        jg_buf_clear(&key);
    }
}

static bool
count_state(void *opaque, size_t index, const redisReply *reply)
{
    struct class_read *read = opaque;
    enum jg_claim_state state;
    char text[4];
    (void)index;
    if (reply->type == REDIS_REPLY_NIL)
        return true; /* it has ended meanwhile */
    if (!jg_reply_text(reply, text, sizeof text) || !jg_reply_state(text, &state))
        return false;
    read->out->claims++;
    read->out->claim_states[state]++;
    return true;
}

/* --- a class --- */

static bool
read_expiry(void *opaque, size_t index, const redisReply *reply)
{
    struct class_read *read = opaque;
    int64_t expires_ms;
    (void)index;
    if (!jg_reply_integer(reply, &expires_ms))
        return false;
    read->out->lease_held = expires_ms > read->report->now_ms;
    return true;
}

/* Does the run that got the lease last still have it? */
static enum jg_err
look_at_owner(struct class_read *read, const char *class_name)
{
    const char *const member[] = {read->lease_owner};
    struct jg_buf run = jg_report_key(read->report, class_name, "run", "");
    jg_report_add(read->report, "ZSCORE", &run, member, 1);
    jg_buf_clear(&run);
    return jg_report_ask(read->report, read_expiry, read);
}

enum jg_err
jg_report_class(struct jg_report *report, const char *class_name, bool walk, struct jg_class_report *out)
{
    struct class_read read = {.report = report, .out = out};
    char now_text[24];
    *out = (struct jg_class_report){.claims = 0};
    snprintf(now_text, sizeof now_text, "(%" PRId64, report->now_ms);
    ask_of_class(report, class_name, now_text);
    enum jg_err err = jg_report_ask(report, read_class, &read);
    if (!err && read.lease_owner[0])
        err = look_at_owner(&read, class_name);
    if (!err && walk)
        err = jg_report_scan(report, class_name, "claim:", ask_for_states, count_state, &read);
    if (!err)
        err = jg_report_gauges(report, out);
    if (!err && out->slots)
        err = jg_report_slots(report, class_name, out);
    return err;
}

enum jg_err
jg_redis_class_report(struct jg_store *store, const char *class_name, struct jg_class_report *out)
{
    struct jg_report report;
    enum jg_err err = jg_report_begin(&report, store);
    if (!err) {
        jg_report_add_time(&report);
        err = jg_report_ask(&report, read_now, &report);
    }
    if (!err)
        err = jg_report_class(&report, class_name, true, out);
    return jg_report_end(&report, err);
}

/* --- all of them --- */

static int64_t
info_number(const redisReply *info, const char *name)
{
    char text[32];
    jg_reply_info(info, name, text, sizeof text);
    return text[0] ? strtoll(text, NULL, 10) : -1;
}

struct survey_read {
    struct jg_report *report;
    struct jg_store_report *out;
};

static bool
read_server(void *opaque, size_t index, const redisReply *reply)
{
    const struct survey_read *read = opaque;
    struct jg_store_report *out = read->out;
    char policy[32];
    if (index == 0)
        return read_now(read->report, index, reply);
    if (reply->type != REDIS_REPLY_STRING)
        return false;
    jg_reply_info(reply, "run_id", out->run_id, sizeof out->run_id);
    jg_reply_info(reply, "maxmemory_policy", policy, sizeof policy);
    out->uptime_s = info_number(reply, "uptime_in_seconds");
    out->evicted_keys = info_number(reply, "evicted_keys");
    out->memory_bytes = info_number(reply, "used_memory");
    out->memory_max_bytes = info_number(reply, "maxmemory");
    out->evicts = policy[0] && strcmp(policy, "noeviction") != 0;
    return true;
}

static void
keep_name(void *opaque, const char *class_name)
{
    jg_buf_append(opaque, class_name, strlen(class_name) + 1);
}

/* Names as NUL-terminated texts, one behind the other. */
static enum jg_err
choose_classes(struct jg_report *report, const struct jg_survey *survey, struct jg_buf *names)
{
    enum jg_err err = survey->names ? JG_OK : jg_report_classes(report, keep_name, names);
    for (size_t i = 0; survey->names && i < survey->count; i++)
        keep_name(names, survey->names[i]);
    return names->failed ? JG_ESTORE : err;
}

static enum jg_err
survey_classes(struct jg_report *report, struct jg_survey *survey)
{
    struct jg_class_report class;
    struct jg_buf names = JG_BUF_INIT;
    enum jg_err err = choose_classes(report, survey, &names);
    for (size_t at = 0; !err && at < names.size_bytes; at += strlen(names.data + at) + 1) {
        survey->known++;
        if (survey->most && survey->known > survey->most)
            continue;
        err = jg_report_class(report, names.data + at, survey->walk, &class);
        if (!err)
            survey->each(survey->opaque, names.data + at, &class);
    }
    jg_buf_clear(&names);
    return err;
}

enum jg_err
jg_redis_survey(struct jg_store *store, struct jg_survey *survey)
{
    struct jg_report report;
    struct survey_read read = {.report = &report, .out = &survey->store};
    int64_t began_us = jg_clock_us();
    survey->store = (struct jg_store_report){.uptime_s = -1};
    survey->known = 0;
    enum jg_err err = jg_report_begin(&report, store);
    report.quiet = survey->quiet;
    report.deadline_ms = survey->timeout_ms ? began_us / 1000 + survey->timeout_ms : 0;
    if (!err) {
        jg_report_add_time(&report);
        jg_resp_command(&report.commands, "INFO", (char *)NULL);
        report.count++;
        err = jg_report_ask(&report, read_server, &read);
    }
    if (!err)
        err = survey_classes(&report, survey);
    survey->store.now_ms = report.now_ms;
    survey->store.took_us = jg_clock_us() - began_us;
    return jg_report_end(&report, err);
}
