/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/event.h"

#include <string.h>
#include <yajl/yajl_gen.h>

#include "base/clock.h"

static const struct {
    const char *name, *status;
} kinds[JG_EVENTS + 1] = {
    [JG_EVENT_PRODUCED] = {"produced", "queued"}, [JG_EVENT_DUPLICATE] = {"duplicate", "duplicate"},
    [JG_EVENT_HELD] = {"held", "held"},           [JG_EVENT_RESUMED] = {"resumed", "queued"},
    [JG_EVENT_START] = {"start", "running"},      [JG_EVENT_DONE] = {"done", "done"},
    [JG_EVENT_FAILED] = {"failed", "failed"},     [JG_EVENT_NOOP] = {"noop", "done"},
    [JG_EVENT_SKIPPED] = {"skipped", "done"},     [JG_EVENT_REENQUEUED] = {"reenqueued", "done"},
    [JG_EVENT_BURIED] = {"buried", "dead"},       [JG_EVENT_LEASE_LOST] = {"lease_lost", "running"},
    [JG_EVENTS] = {"unknown", "unknown"},
};

const char *
jg_event_name(enum jg_event_kind kind)
{
    return kinds[kind].name;
}

const char *
jg_event_status(enum jg_event_kind kind)
{
    return kinds[kind].status;
}

enum jg_event_kind
jg_event_kind_of(const char *name)
{
    enum jg_event_kind kind = JG_EVENT_PRODUCED;
    while (kind < JG_EVENTS && strcmp(kinds[kind].name, name) != 0)
        kind++;
    return kind;
}

static void
put_text(yajl_gen gen, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    (void)yajl_gen_string(gen, (const unsigned char *)name, strlen(name));
    if (yajl_gen_string(gen, (const unsigned char *)text, strlen(text)) != yajl_gen_status_ok)
        (void)yajl_gen_string(gen, (const unsigned char *)"(not UTF-8)", strlen("(not UTF-8)"));
}

static void
put_number(yajl_gen gen, const char *name, int64_t number, int64_t least)
{
    if (number < least)
        return;
    (void)yajl_gen_string(gen, (const unsigned char *)name, strlen(name));
    (void)yajl_gen_integer(gen, number);
}

void
jg_event_log(const struct jg_log *log, const struct jg_event *event)
{
    const unsigned char *text = NULL;
    size_t size_bytes;
    yajl_gen gen = yajl_gen_alloc(NULL);
    if (!gen)
        return;
    yajl_gen_config(gen, yajl_gen_validate_utf8, 1);
    (void)yajl_gen_map_open(gen);
    put_number(gen, "time_ms", event->time_ms ? event->time_ms : jg_wall_ms(), 0);
    put_text(gen, "event", kinds[event->kind].name);
    put_text(gen, "class", event->class_name);
    put_text(gen, "jid", event->jid);
    put_text(gen, "key", event->key);
    put_text(gen, "job_status", kinds[event->kind].status);
    put_text(gen, "duplicate-of", event->duplicate_of);
    put_text(gen, "next", event->next);
    put_text(gen, "reason", event->reason);
    put_text(gen, "topic", event->topic);
    put_number(gen, "partition", event->partition, 0);
    put_number(gen, "offset", event->offset, 0);
    put_number(gen, "lease_token", event->token, 1);
    put_number(gen, "attempt", event->attempt, 1);
    put_number(gen, "waited_ms", event->waited_ms, 0);
    put_number(gen, "ran_ms", event->ran_ms, 0);
    (void)yajl_gen_map_close(gen);
    if (yajl_gen_get_buf(gen, &text, &size_bytes) == yajl_gen_status_ok && text)
        jg_log(log, JG_LOG_INFO, "EVENT", "%.*s", (int)size_bytes, (const char *)text);
    yajl_gen_free(gen);
}
