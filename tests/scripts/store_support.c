/* SPDX-License-Identifier: Apache-2.0 */
#include "store_support.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "connectors/redis/conn.h"
#include "connectors/redis/url.h"
#include "memory_rewind.h"

#define NAME_SPACE "test"
#define MOST_KEYS 512
#define TEXTS 64

static const struct jg_log quiet = {.level = JG_LOG_ERROR};

void
must_hold(bool holds, const char *what, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: the test is broken: %s\n", file, line, what);
    abort();
}

static char *
next_text(void)
{
    static char texts[TEXTS][160];
    static unsigned turn;
    return texts[turn++ % TEXTS];
}

const char *
key_of(unsigned key)
{
    char *text = next_text();
    snprintf(text, 160, "%032x", key + 1);
    return text;
}

const char *
jid_of(unsigned key, unsigned number)
{
    char *text = next_text();
    snprintf(text, 160, "%032x-%020x", key + 1, number + 1);
    return text;
}

const char *
limit_key_of(unsigned number)
{
    char *text = next_text();
    snprintf(text, 160, "%032x", number + 0xf000);
    return text;
}

const char *
member_of(const char *jid, unsigned instance)
{
    return member_at(jid, instance, 17);
}

const char *
member_at(const char *jid, unsigned instance, unsigned position)
{
    char *text = next_text();
    snprintf(text, 160, "%s@instance%u@jobs/0/%u", jid, instance, position);
    return text;
}

const char *
link_of_chain(const char *jid, unsigned number)
{
    char *text = next_text();
    snprintf(text, 160, number ? "%.*s-%u" : "%.*s", JG_CHAIN_CHARS, jid, number);
    return text;
}

static int64_t
shifted_now_ms(void *opaque)
{
    return jg_wall_ms() + ((struct subject *)opaque)->shift_ms;
}

static void
connect_raw(struct subject *subject, const char *text)
{
    struct jg_redis_url url;
    struct jg_error error;
    enum jg_err err = jg_redis_url_parse(text, &url, &error);
    must(!err && url.host);
    subject->raw = redisConnect(url.host, atoi(url.port));
    must(subject->raw && !subject->raw->err);
    jg_redis_url_clear(&url);
}

redisReply *
subject_command(struct subject *subject, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(subject->raw, format, args);
    va_end(args);
    must(reply && reply->type != REDIS_REPLY_ERROR);
    return reply;
}

void
subject_pause(void)
{
    usleep(1000);
}

static long long
integer_of(redisReply *reply)
{
    long long value = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    freeReplyObject(reply);
    return value;
}

static void
ignore(redisReply *reply)
{
    freeReplyObject(reply);
}

#define EVER 1

/* Since when the server has had our data (see redis/since.c); EVER: longer than any grace. */
static void
set_since(struct subject *subject, int64_t ms)
{
    char value[128];
    snprintf(value, sizeof value, "%s %" PRId64, subject->run_id, ms);
    ignore(subject_command(subject, "SET jg1:" NAME_SPACE ":since %b", value, strlen(value)));
}

static int64_t
get_since(struct subject *subject)
{
    redisReply *reply = subject_command(subject, "GET jg1:" NAME_SPACE ":since");
    int64_t ms = reply->type == REDIS_REPLY_STRING ? strtoll(strchr(reply->str, ' '), NULL, 10) : EVER;
    freeReplyObject(reply);
    return ms;
}

static void
read_run_id(struct subject *subject)
{
    redisReply *info = subject_command(subject, "INFO server");
    must(jg_conn_parse_run_id(info->str, (size_t)info->len, subject->run_id));
    freeReplyObject(info);
}

void
subject_open(struct subject *subject, enum subject_kind kind)
{
    static unsigned count;
    struct jg_error error;
    const char *address = getenv("JOBGATE_TEST_REDIS");
    must(kind == SUBJECT_MEMORY || address); /* JOBGATE_TEST_REDIS is set */
    *subject = (struct subject){.kind = kind};
    snprintf(subject->class_name, sizeof subject->class_name, "Class.%u-%" PRId64, count++, jg_clock_us());
    struct jg_store_options options = {.url = kind == SUBJECT_REDIS ? address : "memory:suite",
                                       .name_space = NAME_SPACE,
                                       .timeout_ms = 5000,
                                       .log = &quiet};
    enum jg_err err = jg_store_open(&options, &subject->store, &error);
    must(!err);
    if (kind == SUBJECT_REDIS) {
        connect_raw(subject, address);
        read_run_id(subject);
        set_since(subject, EVER);
    } else {
        struct jg_memory *memory = ((struct jg_memory_store *)subject->store)->memory;
        memory->now_ms = shifted_now_ms;
        memory->clock_opaque = subject;
    }
}

static struct jg_memory_class *
memory_class(struct subject *subject)
{
    return jg_memory_class((struct jg_memory_store *)subject->store, subject->class_name);
}

/* --- snapshots of a Redis: every key with its dump and what it had left to live --- */

struct redis_snapshot {
    size_t count;
    struct {
        redisReply *key, *dump;
        long long ttl_ms;
    } entries[MOST_KEYS];
};

static void
redis_snapshot_destroy(struct redis_snapshot *snapshot)
{
    for (size_t i = 0; snapshot && i < snapshot->count; i++) {
        freeReplyObject(snapshot->entries[i].key);
        freeReplyObject(snapshot->entries[i].dump);
    }
    free(snapshot);
}

static void
drop_snapshot(struct subject *subject)
{
    if (subject->kind == SUBJECT_REDIS)
        redis_snapshot_destroy(subject->snapshot);
    else
        memory_snapshot_destroy(subject->snapshot);
    subject->snapshot = NULL;
}

void
subject_close(struct subject *subject)
{
    drop_snapshot(subject);
    if (subject->raw)
        redisFree(subject->raw);
    jg_store_close(subject->store);
}

/* The class's part of a key: dots and dashes are escaped. */
static redisReply *
keys_of(struct subject *subject)
{
    struct jg_buf name = JG_BUF_INIT;
    jg_name_escape(&name, subject->class_name);
    redisReply *keys = subject_command(subject, "KEYS jg1:" NAME_SPACE ":{%s}:*", name.data);
    jg_buf_clear(&name);
    return keys;
}

static bool
ends_with(const redisReply *key, const char *end)
{
    size_t size = strlen(end);
    return (size_t)key->len >= size && memcmp(key->str + key->len - size, end, size) == 0;
}

/* In the values of a hash: `<ms> <position>`, or `<limit> <ms>`. */
static void
advance_times(struct subject *subject, const redisReply *key, int64_t ms)
{
    redisReply *all = subject_command(subject, "HGETALL %s", key->str);
    for (size_t i = 0; i + 1 < all->elements; i += 2) {
        const char *value = all->element[i + 1]->str, *space = strchr(value, ' ');
        char text[256];
        must(space);
        if (ends_with(key, "}:tkt"))
            snprintf(text, sizeof text, "%lld%s", strtoll(value, NULL, 10) - (long long)ms, space);
        else
            snprintf(text, sizeof text, "%.*s %lld", (int)(space - value), value,
                     strtoll(space, NULL, 10) - (long long)ms);
        ignore(subject_command(subject, "HSET %s %s %b", key->str, all->element[i]->str, text, strlen(text)));
    }
    freeReplyObject(all);
}

static void
advance_key(struct subject *subject, const redisReply *key, int64_t ms)
{
    long long ttl_ms = integer_of(subject_command(subject, "PTTL %s", key->str));
    if (ttl_ms >= 0 && ttl_ms <= ms)
        ignore(subject_command(subject, "DEL %s", key->str));
    else if (ttl_ms >= 0)
        ignore(subject_command(subject, "PEXPIRE %s %lld", key->str, ttl_ms - (long long)ms));
    if (strstr(key->str, "}:claim:") && ttl_ms > ms)
        ignore(subject_command(subject, "HINCRBY %s at %lld", key->str, -(long long)ms));
    if (strstr(key->str, "}:fol:") && ttl_ms > ms && integer_of(subject_command(subject, "HEXISTS %s ue", key->str)))
        ignore(subject_command(subject, "HINCRBY %s ue %lld", key->str, -(long long)ms));
    if (ends_with(key, "}:tkt") || ends_with(key, "}:instances"))
        advance_times(subject, key, ms);
    if (!ends_with(key, "}:run") && !strstr(key->str, "}:run:") && !ends_with(key, "}:heldk") &&
        !ends_with(key, "}:cap"))
        return;
    redisReply *members = subject_command(subject, "ZRANGE %s 0 -1", key->str);
    for (size_t i = 0; i < members->elements; i++)
        ignore(subject_command(subject, "ZINCRBY %s %lld %s", key->str, -(long long)ms, members->element[i]->str));
    freeReplyObject(members);
}

/* In Redis everything that has a time moves into the past, since its clock cannot move on. */
static void
advance_keys(struct subject *subject, int64_t ms)
{
    redisReply *keys = keys_of(subject);
    for (size_t i = 0; i < keys->elements; i++)
        advance_key(subject, keys->element[i], ms);
    freeReplyObject(keys);
}

void
subject_advance(struct subject *subject, int64_t ms)
{
    subject->shift_ms += ms;
    if (subject->kind != SUBJECT_REDIS)
        return;
    advance_keys(subject, ms);
    if (get_since(subject) > EVER)
        set_since(subject, get_since(subject) - ms);
}

void
subject_set_gauge(struct subject *subject, const char *key, int64_t value)
{
    if (subject->kind == SUBJECT_MEMORY)
        jg_memory_set_gauge("suite", key, value);
    else if (value < 0)
        ignore(subject_command(subject, "DEL %s", key));
    else
        ignore(subject_command(subject, "SET %s %lld", key, (long long)value));
}

/* An epoch's number is a time in milliseconds: two within one would be the same, which no restart is quick enough for.
 */
static void
await_next_ms(void)
{
    int64_t now_ms = jg_wall_ms();
    while (jg_wall_ms() <= now_ms + 1)
        ;
}

void
subject_new_epoch(struct subject *subject)
{
    await_next_ms();
    if (subject->kind == SUBJECT_MEMORY) {
        struct jg_memory_class *class = memory_class(subject);
        if (class)
            jg_memory_start_epoch(class, shifted_now_ms(subject));
        return;
    }
    redisReply *keys = keys_of(subject);
    set_since(subject, jg_wall_ms());
    for (size_t i = 0; i < keys->elements; i++) {
        if (!ends_with(keys->element[i], "}:epoch"))
            continue;
        redisReply *epoch = subject_command(subject, "GET %s", keys->element[i]->str);
        ignore(subject_command(subject, "SET %s another%s", keys->element[i]->str, strchr(epoch->str, ' ')));
        freeReplyObject(epoch);
    }
    freeReplyObject(keys);
}

static void
delete_keys(struct subject *subject)
{
    redisReply *keys = keys_of(subject);
    for (size_t i = 0; i < keys->elements; i++)
        ignore(subject_command(subject, "DEL %s", keys->element[i]->str));
    freeReplyObject(keys);
}

void
subject_flush(struct subject *subject)
{
    await_next_ms();
    if (subject->kind == SUBJECT_REDIS) {
        delete_keys(subject);
        set_since(subject, EVER);
    } else if (memory_class(subject)) {
        memory_flush(memory_class(subject));
    }
}

void
subject_lose(struct subject *subject)
{
    subject_flush(subject);
    subject_new_epoch(subject);
}

void
subject_snapshot(struct subject *subject)
{
    drop_snapshot(subject);
    subject->snapshot_shift_ms = subject->shift_ms;
    if (subject->kind == SUBJECT_MEMORY) {
        struct jg_memory_class *class = memory_class(subject);
        subject->snapshot = class ? memory_snapshot(class) : NULL;
        return;
    }
    struct redis_snapshot *snapshot = calloc(1, sizeof *snapshot);
    must(snapshot);
    redisReply *keys = keys_of(subject);
    must(keys->elements <= MOST_KEYS);
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = keys->element[i]->str;
        snapshot->entries[i].ttl_ms = integer_of(subject_command(subject, "PTTL %s", key));
        snapshot->entries[i].dump = subject_command(subject, "DUMP %s", key);
        snapshot->entries[i].key = keys->element[i];
        keys->element[i] = NULL;
        snapshot->count++;
    }
    freeReplyObject(keys);
    subject->snapshot = snapshot;
}

static void
restore_keys(struct subject *subject, const struct redis_snapshot *snapshot)
{
    delete_keys(subject);
    for (size_t i = 0; i < snapshot->count; i++) {
        const redisReply *dump = snapshot->entries[i].dump;
        long long ttl_ms = snapshot->entries[i].ttl_ms > 0 ? snapshot->entries[i].ttl_ms : 0;
        ignore(subject_command(subject, "RESTORE %s %lld %b", snapshot->entries[i].key->str, ttl_ms, dump->str,
                               (size_t)dump->len));
    }
    advance_keys(subject, subject->shift_ms - subject->snapshot_shift_ms);
}

void
subject_rewind(struct subject *subject)
{
    if (subject->snapshot && subject->kind == SUBJECT_MEMORY)
        memory_rewind(memory_class(subject), subject->snapshot);
    else if (subject->snapshot)
        restore_keys(subject, subject->snapshot);
    subject_new_epoch(subject);
}
