/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

#define JID_END_CHARS 8 /* shown of each end of a jid */

/* Local time, for people who look at the clock. */
static void
print_time(int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    char text[32];
    if (unix_ms < 0 || !localtime_r(&seconds, &parts) || !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts))
        printf("at an unknown time     ");
    else
        printf("%s.%03d", text, (int)(unix_ms % 1000));
}

static void
print_text(const char *before, const char *text)
{
    if (!text || !*text)
        return;
    printf("%s", before);
    jg_cli_print_plain(text, strlen(text));
}

/* Both ends of it tell jobs apart: the first is of the job's key. */
static void
print_jid(const char *before, const char *jid)
{
    size_t chars = jid ? strlen(jid) : 0;
    if (chars <= 2 * JID_END_CHARS + 2) {
        print_text(before, jid);
        return;
    }
    printf("%s", before);
    jg_cli_print_plain(jid, JID_END_CHARS);
    printf("..");
    jg_cli_print_plain(jid + chars - JID_END_CHARS, JID_END_CHARS);
}

static void
print_span(const char *before, int64_t span_ms)
{
    char text[JG_TIME_CHARS];
    if (span_ms < 0)
        return;
    jg_cli_span(span_ms, text);
    printf("%s%s", before, text);
}

static void
print_where(const struct jg_event *event)
{
    print_text("  ", event->topic);
    if (event->topic && event->partition >= 0)
        printf("/%d", (int)event->partition);
    if (event->topic && event->partition >= 0 && event->offset >= 0)
        printf("/%lld", (long long)event->offset);
}

static void
print_line(const struct jg_event_record *record)
{
    const struct jg_event *event = &record->event;
    print_time(event->time_ms);
    printf("  %-10s", jg_event_name(event->kind));
    print_text("  ", event->class_name);
    print_jid("  ", event->jid);
    print_where(event);
    print_text("  ", event->reason);
    print_jid("  of ", event->duplicate_of);
    print_jid("  next ", event->next);
    print_span("  waited ", event->waited_ms);
    print_span("  ran ", event->ran_ms);
    if (event->attempt > 0)
        printf("  attempt %lld", (long long)event->attempt);
    if (event->token > 0)
        printf("  token %lld", (long long)event->token);
    print_text("  by ", record->source.client_id ? record->source.client_id : record->source.instance);
    putchar('\n');
}

static void
put_text(json_t *line, const char *name, const char *text)
{
    if (text && *text)
        json_object_set_new(line, name, jg_cli_json_text(text, strlen(text)));
}

static void
put_number(json_t *line, const char *name, int64_t number, int64_t least)
{
    if (number >= least)
        json_object_set_new(line, name, json_integer(number));
}

static void
print_json(const struct jg_event_record *record)
{
    const struct jg_event *event = &record->event;
    const struct jg_event_source *source = &record->source;
    json_t *line = json_object();
    json_object_set_new(line, "time", json_integer(event->time_ms));
    put_text(line, "event", jg_event_name(event->kind));
    put_text(line, "job_status", jg_event_status(event->kind));
    put_text(line, "class", event->class_name);
    put_text(line, "jid", event->jid);
    put_text(line, "key", event->key);
    put_text(line, "topic", event->topic);
    put_number(line, "partition", event->partition, 0);
    put_number(line, "offset", event->offset, 0);
    put_text(line, "reason", event->reason);
    put_text(line, "duplicate_of", event->duplicate_of);
    put_text(line, "next", event->next);
    put_number(line, "lease_token", event->token, 1);
    put_number(line, "attempt", event->attempt, 1);
    put_number(line, "waited_ms", event->waited_ms, 0);
    put_number(line, "ran_ms", event->ran_ms, 0);
    put_text(line, "namespace", source->name_space);
    put_text(line, "instance", source->instance);
    put_text(line, "group", source->group);
    put_text(line, "client_id", source->client_id);
    put_text(line, "host", source->host);
    put_number(line, "pid", source->pid, 1);
    put_text(line, "version", source->version);
    char *text = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);
    for (const char *at = text ? text : ""; *at; at++)
        if (*at == 0x7f) /* the one control character that jansson leaves */
            printf("\\u007F");
        else
            putchar(*at);
    putchar('\n');
    free(text);
    json_decref(line);
}

void
jg_tail_print(const struct jg_event_record *record, bool json)
{
    if (json)
        print_json(record);
    else
        print_line(record);
    (void)fflush(stdout);
}
