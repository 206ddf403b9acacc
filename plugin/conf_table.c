/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/conf_table.h"

#include <stdio.h>
#include <string.h>

#include "plugin/conf.h"

#define DAY_MS INT64_C(86400000)

static const struct jg_word format_words[] = {
    {"json", JG_FORMAT_JSON}, {"raw", JG_FORMAT_RAW}, {"avro", JG_FORMAT_AVRO}, {NULL, 0}};
static const struct jg_word unidentified_words[] = {
    {"pass", JG_UNIDENTIFIED_PASS}, {"reject", JG_UNIDENTIFIED_REJECT}, {NULL, 0}};
static const struct jg_word skip_error_words[] = {
    {"partition_eof", JG_SKIP_PARTITION_EOF}, {"timed_out", JG_SKIP_TIMED_OUT}, {"noop", JG_SKIP_NOOP}, {NULL, 0}};
static const struct jg_word completion_words[] = {{"auto", JG_COMPLETION_AUTO},
                                                  {"poll", JG_COMPLETION_POLL},
                                                  {"commit", JG_COMPLETION_COMMIT},
                                                  {"api", JG_COMPLETION_API},
                                                  {NULL, 0}};
static const struct jg_word close_words[] = {
    {"complete", JG_CLOSE_COMPLETE}, {"redeliver", JG_CLOSE_REDELIVER}, {NULL, 0}};
static const struct jg_word store_failure_words[] = {
    {"open", JG_STORE_FAILURE_OPEN}, {"closed", JG_STORE_FAILURE_CLOSED}, {NULL, 0}};
static const struct jg_word resumer_words[] = {
    {"embedded", JG_RESUMER_EMBEDDED}, {"separate", JG_RESUMER_SEPARATE}, {NULL, 0}};
static const struct jg_word log_level_words[] = {{"error", JG_LOG_ERROR},   {"warning", JG_LOG_WARNING},
                                                 {"notice", JG_LOG_NOTICE}, {"info", JG_LOG_INFO},
                                                 {"debug", JG_LOG_DEBUG},   {NULL, 0}};
static const struct jg_word dedup_words[] = {{"none", JG_DEDUP_NONE},
                                             {"until_executing", JG_DEDUP_UNTIL_EXECUTING},
                                             {"until_executed", JG_DEDUP_UNTIL_EXECUTED},
                                             {NULL, 0}};
static const struct jg_word dedup_action_words[] = {{"mark", JG_DUP_MARK}, {"reject", JG_DUP_REJECT}, {NULL, 0}};
static const struct jg_word lease_words[] = {
    {"none", JG_LEASE_NONE}, {"class", JG_LEASE_CLASS}, {"key", JG_LEASE_KEY}, {NULL, 0}};
static const struct jg_word lease_taken_words[] = {
    {"skip", JG_LEASE_TAKEN_SKIP}, {"hold", JG_LEASE_TAKEN_HOLD}, {NULL, 0}};
static const struct jg_word log_format_words[] = {
    {"text", JG_LOG_FORMAT_TEXT}, {"json", JG_LOG_FORMAT_JSON}, {NULL, 0}};
static const struct jg_word auto_words[] = {{"auto", JG_AUTO}, {NULL, 0}};
static const struct jg_word bool_words[] = {{"false", 0}, {"true", 1}, {"0", 0}, {"1", 1}, {NULL, 0}};
static const struct jg_word disable_words[] = {
    {"0", JG_DISABLE_NO}, {"1", JG_DISABLE_PASS}, {"all", JG_DISABLE_ALL}, {NULL, 0}};

#define GLOBAL_FIELD(member) offsetof(struct jg_settings, member)
#define TOPIC_FIELD(member) offsetof(struct jg_topic_spec, member)
#define CLASS_FIELD(member) offsetof(struct jg_policy, member)

const struct jg_setting jg_setting_table[JG_SETTING_COUNT] = {
    {.name = "config",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_PATH,
     .field = JG_NO_FIELD,
     .since = "0.1",
     .doc = "A file of settings, one `name=value` a line under the names of this table. Environment variables and the "
            "client's own properties go before it."},
    {.name = "topics",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_TOPICS,
     .field = JG_NO_FIELD,
     .since = "0.1",
     .doc = "The governed topics: a comma list of names; an item that starts with `^` is a POSIX extended regular "
            "expression. All other topics pass untouched."},
    {.name = "store",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_URL,
     .field = GLOBAL_FIELD(store),
     .since = "0.1",
     .doc = "Where claims are kept: `redis://[user[:password]@]host[:port][/db]`, `redis+unix:///path[?db=N]`, or "
            "`memory:[name]` for one process. Any dedup needs it."},
    {.name = "namespace",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_NAME,
     .fallback = "default",
     .field = GLOBAL_FIELD(name_space),
     .since = "0.1",
     .doc = "Separates applications that share a store: equal jobs of two namespaces are not duplicates."},
    {.name = "store.timeout.ms",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_NUMBER,
     .fallback = "250",
     .min = 10,
     .max = 60000,
     .unit = "ms",
     .field = GLOBAL_FIELD(store_timeout_ms),
     .since = "0.1",
     .doc = "How long connecting to the store, and one exchange with it, may take."},
    {.name = "store.wait.ms",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_NUMBER,
     .fallback = "5000",
     .min = 0,
     .max = 240000,
     .unit = "ms",
     .field = GLOBAL_FIELD(store_wait_ms),
     .since = "0.1",
     .doc = "How long a consumer waits for a store that is down before the application sees an error. Keep it well "
            "below max.poll.interval.ms."},
    {.name = "store.failure",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_ENUM,
     .fallback = "open",
     .words = store_failure_words,
     .field = GLOBAL_FIELD(store_failure),
     .since = "0.1",
     .doc = "A producer whose store is down sends without a claim (open), or its produce call fails (closed)."},
    {.name = "store.grace.ms",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_NUMBER,
     .min = 100,
     .max = DAY_MS,
     .unit = "ms",
     .field = GLOBAL_FIELD(store_grace_ms),
     .since = "0.2",
     .doc =
         "When the store has lost its data, jobs of classes with a limit wait this long, while consumers tell it what "
         "runs. Unset: a third of limit.ttl.ms, and 2 s."},
    {.name = "resumer",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_ENUM,
     .fallback = "embedded",
     .words = resumer_words,
     .field = GLOBAL_FIELD(resumer),
     .since = "0.2",
     .doc = "Who brings held jobs back: one of the group's consumers (embedded), or `jobgate resume` (separate)."},
    {.name = "skip.error",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_ENUM,
     .fallback = "partition_eof",
     .words = skip_error_words,
     .field = GLOBAL_FIELD(skip_error),
     .since = "0.1",
     .doc = "What a consumer's application sees for a skipped message. Unset, it is timed_out in "
            "Go programs, and where enable.partition.eof is true."},
    {.name = "completion",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_ENUM,
     .fallback = "auto",
     .words = completion_words,
     .field = GLOBAL_FIELD(completion),
     .since = "0.1",
     .doc = "How the end of a job is seen: at the next poll, when its offset is committed, by a call of "
            "jobgate_complete (api), or as the client's offset settings suggest (auto)."},
    {.name = "close",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_ENUM,
     .fallback = "complete",
     .words = close_words,
     .field = GLOBAL_FIELD(close),
     .since = "0.1",
     .doc = "Whether closing a consumer in order completes its last job, or leaves it to be delivered again. For "
            "completion by poll."},
    {.name = "observe",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_BOOL,
     .fallback = "false",
     .words = bool_words,
     .field = GLOBAL_FIELD(observe),
     .since = "0.1",
     .doc = "This consumer reads governed topics untouched: it sees every message, duplicates too, and changes no "
            "claim."},
    {.name = "log.level",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_ENUM,
     .fallback = "info",
     .words = log_level_words,
     .field = GLOBAL_FIELD(log_level),
     .since = "0.1",
     .doc = "The least important log lines to write."},
    {.name = "log.format",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_ENUM,
     .fallback = "text",
     .words = log_format_words,
     .field = GLOBAL_FIELD(log_format),
     .since = "0.3",
     .doc = "json: besides, one line of JSON for each thing that happens to a job, at log level info."},
    {.name = "events.topic",
     .level = JG_LEVEL_GLOBAL,
     .type = JG_TYPE_TOPIC,
     .field = GLOBAL_FIELD(events_topic),
     .since = "0.5",
     .doc = "A Kafka topic of its own that gets an Avro record for each thing that happens to a job "
            "(schemas/event.avsc), made when it is not there. `jobgate tail` prints them. Unset: none."},
    {.name = "format",
     .level = JG_LEVEL_TOPIC,
     .type = JG_TYPE_ENUM,
     .fallback = "json",
     .words = format_words,
     .field = TOPIC_FIELD(format),
     .since = "0.1",
     .doc = "How payloads are encoded."},
    {.name = "class",
     .level = JG_LEVEL_TOPIC,
     .type = JG_TYPE_SELECTOR,
     .field = TOPIC_FIELD(class_selector),
     .since = "0.1",
     .doc = "Where a message holds its job's class. Selectors: `header:NAME`, `field:PATH[,PATH...]`, `key`, "
            "`payload`, `topic`, `const:TEXT`. Unset: the field `class`, else the topic's name."},
    {.name = "args",
     .level = JG_LEVEL_TOPIC,
     .type = JG_TYPE_SELECTOR,
     .field = TOPIC_FIELD(args_selector),
     .since = "0.1",
     .doc = "Where it holds its arguments, which dedup compares. Unset: the field `args`, else the whole payload."},
    {.name = "id",
     .level = JG_LEVEL_TOPIC,
     .type = JG_TYPE_SELECTOR,
     .field = TOPIC_FIELD(id_selector),
     .since = "0.1",
     .doc = "Where it holds an id of its own, for people to read. Unset: the field `jid`, else none."},
    {.name = "schema",
     .level = JG_LEVEL_TOPIC,
     .type = JG_TYPE_SCHEMA,
     .field = TOPIC_FIELD(schema),
     .since = "0.1",
     .doc = "The .avsc file of the schema that payloads were written with. Format avro needs it."},
    {.name = "on.unidentified",
     .level = JG_LEVEL_TOPIC,
     .type = JG_TYPE_ENUM,
     .fallback = "pass",
     .words = unidentified_words,
     .field = TOPIC_FIELD(on_unidentified),
     .since = "0.1",
     .doc = "A message without a recognisable class or arguments passes untouched, or its produce call fails."},
    {.name = "dedup",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_ENUM,
     .fallback = "none",
     .words = dedup_words,
     .field = CLASS_FIELD(dedup),
     .since = "0.1",
     .doc = "Until when a job turns equal ones away: until it starts, or until it has ended."},
    {.name = "dedup.ttl.ms",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "600000",
     .min = 100,
     .max = 30 * DAY_MS,
     .unit = "ms",
     .field = CLASS_FIELD(dedup_ttl_ms),
     .since = "0.1",
     .doc = "A claim older than this turns nothing away."},
    {.name = "dedup.provisional.ms",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "30000",
     .min = 100,
     .max = 3600000,
     .unit = "ms",
     .field = CLASS_FIELD(dedup_provisional_ms),
     .since = "0.1",
     .doc = "How long the claim of a job outlives its producer while the broker has not acknowledged the job. At most "
            "dedup.ttl.ms."},
    {.name = "dedup.action",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_ENUM,
     .fallback = "mark",
     .words = dedup_action_words,
     .field = CLASS_FIELD(dedup_action),
     .since = "0.1",
     .doc = "A duplicate is sent with a mark and skipped by the consumer, or its produce call fails."},
    {.name = "dedup.follow.up",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_BOOL,
     .fallback = "false",
     .words = bool_words,
     .field = CLASS_FIELD(dedup_follow_up),
     .since = "0.5",
     .doc =
         "With dedup until_executed: of the duplicates that come while a job runs, the latest runs after it, once. For "
         "producers and consumers."},
    {.name = "limit",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "0",
     .min = -1,
     .max = 1000000,
     .field = CLASS_FIELD(limit),
     .since = "0.2",
     .doc =
         "How many jobs of the class run at once, over all consumers; those over it wait in the holding topic. 0: no "
         "limit; -1: paused. `jobgate limit` and `jobgate pause` go over it while programs run."},
    {.name = "limit.ttl.ms",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "30000",
     .min = 1000,
     .max = DAY_MS,
     .unit = "ms",
     .field = CLASS_FIELD(limit_ttl_ms),
     .since = "0.2",
     .doc = "When a consumer dies, its slots are free this long after its last heartbeat; there is one every third of "
            "it."},
    {.name = "limit.key",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_SELECTOR,
     .field = CLASS_FIELD(limit_key),
     .since = "0.5",
     .doc =
         "What `limit.per.key` counts by, such as `field:args.0.tenant` or `header:tenant`: each value has a limit of "
         "its own, beside the class's. Jobs in which it finds nothing share one."},
    {.name = "limit.per.key",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "1",
     .min = 1,
     .max = 1000000,
     .field = CLASS_FIELD(limit_per_key),
     .since = "0.5",
     .doc = "How many jobs of one value of `limit.key` run at once, over all consumers. Only with `limit.key`."},
    {.name = "hold.max",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "0",
     .min = 0,
     .max = INT64_C(1000000000000),
     .field = CLASS_FIELD(hold_max),
     .since = "0.2",
     .doc =
         "When so many jobs of the class are held, consumers stop at its next one until there is room. 0: no bound."},
    {.name = "hold.max.age.ms",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "0",
     .min = 0,
     .max = 3650 * DAY_MS,
     .unit = "ms",
     .field = CLASS_FIELD(hold_max_age_ms),
     .since = "0.2",
     .doc = "A job that was held for longer goes to `<topic>.dead` instead of back. 0: never."},
    {.name = "hold.window",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "100000",
     .min = 100,
     .max = 1000000,
     .field = CLASS_FIELD(hold_window),
     .since = "0.5",
     .doc =
         "How far, in jobs of a partition, whoever resumes looks past held jobs that wait for something of their own "
         "key: another job of their value of `limit.key`, a lease of it, a backoff. Offsets and keys of so many are "
         "kept in memory (up to 300 bytes each), not payloads."},
    {.name = "resume.ahead",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "auto",
     .words = auto_words,
     .min = 0,
     .max = 100000,
     .field = CLASS_FIELD(resume_ahead),
     .since = "0.2",
     .doc = "How many held jobs are on their way back beyond the free slots. More keeps the slots of jobs of "
            "milliseconds busy, or behind a long backlog; a job that comes back and finds no slot is held again. "
            "`auto`: the resumer finds it by what it sees, per class, up to 10000."},
    {.name = "resume.wait.ms",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "auto",
     .words = auto_words,
     .min = 0,
     .max = 1000,
     .unit = "ms",
     .field = CLASS_FIELD(resume_wait_ms),
     .since = "0.2",
     .doc =
         "How long a resumed job that finds no slot waits for one, on the polling thread, before it is held again. "
         "`auto`: as long as a run of the class has its slot here, on the average, but 50 ms at least; 50 ms when runs "
         "take longer than a second, and in batch calls."},
    {.name = "lease",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_ENUM,
     .fallback = "none",
     .words = lease_words,
     .field = CLASS_FIELD(lease),
     .since = "0.3",
     .doc = "What runs exclusively: one job of the class at a time, or one of each job key (class and arguments)."},
    {.name = "lease.taken",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_ENUM,
     .fallback = "skip",
     .words = lease_taken_words,
     .field = CLASS_FIELD(lease_taken),
     .since = "0.3",
     .doc = "A job that finds its lease taken ends at once as a no-op, or is held until the lease is free."},
    {.name = "lease.ttl.ms",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "30000",
     .min = 1000,
     .max = DAY_MS,
     .unit = "ms",
     .field = CLASS_FIELD(lease_ttl_ms),
     .since = "0.3",
     .doc = "When a consumer dies, its leases are free this long after its last heartbeat; there is one every third of "
            "it. Of a class with a limit too, the shorter of this and limit.ttl.ms counts for both."},
    {.name = "capacity",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "0",
     .min = 0,
     .max = INT64_C(1000000000000),
     .field = CLASS_FIELD(capacity),
     .since = "0.3",
     .doc =
         "A job that ends is enqueued again while the load (capacity.load) is below this; at it, no job of the class "
         "starts. 0: off."},
    {.name = "capacity.load",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_LOAD,
     .field = CLASS_FIELD(capacity_load),
     .since = "0.3",
     .doc =
         "The load: `redis:<key>`, a number or a collection that the application keeps in the Redis of "
         "jobgate.store. A string's value counts, or the size of a list, set, sorted set, hash or stream; a key that "
         "does not exist is 0. Or `slots`: each job that starts takes a capacity slot, which a later message with the "
         "header jobgate-release frees."},
    {.name = "capacity.work",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_GAUGE,
     .field = CLASS_FIELD(capacity_work),
     .since = "0.3",
     .doc = "How much work remains, likewise: at 0 a job that ends is not enqueued again. Not set: work always "
            "remains."},
    {.name = "capacity.slot.ttl.ms",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "600000",
     .min = 1000,
     .max = 30 * DAY_MS,
     .unit = "ms",
     .field = CLASS_FIELD(capacity_slot_ttl_ms),
     .since = "0.5",
     .doc =
         "With capacity.load=slots: a slot that no jobgate-release has freed is free this long after its job started; "
         "while the job runs it is kept."},
    {.name = "capacity.retry.ms",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "1000",
     .min = 10,
     .max = 60000,
     .unit = "ms",
     .field = CLASS_FIELD(capacity_retry_ms),
     .since = "0.3",
     .doc = "A job that failed (jobgate_complete) is held this long before it runs again; each further failure doubles "
            "it, up to one minute."},
    {.name = "done.ttl.ms",
     .level = JG_LEVEL_CLASS,
     .type = JG_TYPE_NUMBER,
     .fallback = "600000",
     .min = 1000,
     .max = 30 * DAY_MS,
     .unit = "ms",
     .field = CLASS_FIELD(done_ttl_ms),
     .since = "0.3",
     .doc = "How long it is remembered that a job with a lease or a successor is done, so that a copy of it that is "
            "delivered again does not run."},
    {.name = "kafka",
     .level = JG_LEVEL_KAFKA,
     .type = JG_TYPE_ANY,
     .field = JG_NO_FIELD,
     .since = "0.1",
     .doc = "Any librdkafka property, for the Kafka clients that jobgate creates itself."},
    {.name = "disable",
     .level = JG_LEVEL_ENV,
     .type = JG_TYPE_ENUM,
     .fallback = "0",
     .words = disable_words,
     .field = GLOBAL_FIELD(disable),
     .since = "0.1",
     .doc = "The emergency switch. 1: nothing is claimed, and marked duplicates are still skipped; all: the plugin "
            "does nothing."},
};

const struct jg_setting *
jg_setting_of(enum jg_level level, const char *name)
{
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        if (jg_setting_table[i].level == level && strcmp(jg_setting_table[i].name, name) == 0)
            return &jg_setting_table[i];
    }
    return NULL;
}

/* `rest` is `<section>.<setting>`: the longest setting that ends it wins. */
static bool
resolve_section(enum jg_level level, const char *rest, struct jg_setting_name *out)
{
    size_t rest_bytes = strlen(rest);
    size_t longest = 0;
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        const struct jg_setting *row = &jg_setting_table[i];
        size_t bytes = strlen(row->name);
        if (row->level != level || bytes <= longest || rest_bytes < bytes + 2)
            continue;
        const char *tail = rest + rest_bytes - bytes;
        if (tail[-1] != '.' || strcmp(tail, row->name) != 0)
            continue;
        longest = bytes;
        *out = (struct jg_setting_name){.row = row, .section = rest, .section_bytes = rest_bytes - bytes - 1};
    }
    return longest > 0;
}

static const char *
after(const char *text, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return strncmp(text, prefix, bytes) == 0 ? text + bytes : NULL;
}

bool
jg_setting_resolve(const char *name, struct jg_setting_name *out)
{
    const char *rest = NULL;
    if ((rest = after(name, "topic.")))
        return resolve_section(JG_LEVEL_TOPIC, rest, out);
    if ((rest = after(name, "class.")))
        return resolve_section(JG_LEVEL_CLASS, rest, out);
    const struct jg_setting *row = NULL;
    if ((rest = after(name, "kafka."))) {
        row = jg_setting_of(JG_LEVEL_KAFKA, "kafka");
        *out = (struct jg_setting_name){.row = row, .section = rest, .section_bytes = strlen(rest)};
        return *rest != '\0';
    }
    if ((rest = after(name, "default.")))
        row = jg_setting_of(JG_LEVEL_CLASS, rest);
    else if (!(row = jg_setting_of(JG_LEVEL_GLOBAL, name)))
        row = jg_setting_of(JG_LEVEL_TOPIC, name);
    *out = (struct jg_setting_name){.row = row};
    return row != NULL;
}

void
jg_setting_full_name(const struct jg_setting *row, const char *section, char *out, size_t out_bytes)
{
    if (row->level == JG_LEVEL_KAFKA)
        snprintf(out, out_bytes, JG_CONF_PREFIX "kafka.%s", section ? section : "<property>");
    else if (section)
        snprintf(out, out_bytes, JG_CONF_PREFIX "%s.%s.%s", row->level == JG_LEVEL_CLASS ? "class" : "topic", section,
                 row->name);
    else
        snprintf(out, out_bytes, JG_CONF_PREFIX "%s%s", row->level == JG_LEVEL_CLASS ? "default." : "", row->name);
}

bool
jg_setting_env_name(const struct jg_setting *row, char *out, size_t out_bytes)
{
    if (row->level == JG_LEVEL_KAFKA)
        return false;
    snprintf(out, out_bytes, "JOBGATE_%s%s", row->level == JG_LEVEL_CLASS ? "DEFAULT_" : "", row->name);
    /* Not by toupper: in some locales it makes something else of an i. */
    for (char *at = out; *at; at++) {
        if (*at == '.')
            *at = '_';
        else if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    }
    return true;
}
