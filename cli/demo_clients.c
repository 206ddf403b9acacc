/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary producer and ordinary consumers, as in any program on librdkafka. The plugin comes in by properties. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/demo.h"
#include "plugin/jobgate.h"

#define POLL_MS 100
#define HELD_TEXT JOBGATE_SKIP_TEXT ": held"
#define NOOP_TEXT JOBGATE_SKIP_TEXT ": a no-op"

/* --- handles --- */

static bool
set(const struct jg_demo *demo, rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[1024];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return true;
    jg_cli_complain(demo->cli, "%s", text);
    return false;
}

/* NULL: said why. `own` are pairs of this handle's own properties. */
static rd_kafka_t *
start(const struct jg_demo *demo, rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *const own[][2],
      size_t own_count)
{
    char text[1024] = "";
    rd_kafka_t *rk = NULL;
    bool good = true;
    for (size_t i = 0; good && i < demo->property_count; i++)
        good = set(demo, conf, demo->properties[i].name, demo->properties[i].value);
    for (size_t i = 0; good && i < own_count; i++)
        good = set(demo, conf, own[i][0], own[i][1]);
    if (good)
        rk = rd_kafka_new(type, conf, text, sizeof text);
    if (good && !rk)
        jg_cli_complain(demo->cli, "%s", text);
    if (!rk)
        rd_kafka_conf_destroy(conf);
    return rk;
}

/* The plugin that librdkafka has loaded offers public functions (plugin/jobgate.h): how a program may look at it. */
static bool
find_public(struct jg_demo *demo, const char *name, void *function, size_t function_bytes)
{
    char with_suffix[sizeof demo->plugin + 4];
    snprintf(with_suffix, sizeof with_suffix, "%s.so", demo->plugin);
    void *plugin = dlopen(demo->plugin, RTLD_NOW | RTLD_NOLOAD);
    if (!plugin)
        plugin = dlopen(with_suffix, RTLD_NOW | RTLD_NOLOAD);
    void *found = plugin ? dlsym(plugin, name) : NULL;
    if (!found)
        jg_cli_complain(demo->cli, "%s has no %s: is it of this version?", demo->plugin, name);
    memcpy(function, &found, function_bytes);
    return found != NULL;
}

/* --- producing --- */

static void
keep_headers(struct jg_demo_job *job, const rd_kafka_message_t *rkmessage)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name = NULL;
    const void *value = NULL;
    size_t bytes = 0;
    if (rd_kafka_message_headers(rkmessage, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (size_t i = 0; i < JG_DEMO_HEADERS && !rd_kafka_header_get_all(headers, i, &name, &value, &bytes); i++) {
        snprintf(job->headers[i].name, sizeof job->headers[i].name, "%s", name);
        snprintf(job->headers[i].value, sizeof job->headers[i].value, "%.*s", (int)bytes, (const char *)value);
        job->header_count = i + 1;
    }
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *rkmessage, void *opaque)
{
    struct jg_demo_job *job = rkmessage->_private;
    (void)rk;
    (void)opaque;
    job->reported = true;
    job->err = rkmessage->err;
    job->offset = rkmessage->offset;
    keep_headers(job, rkmessage);
}

bool
jg_demo_start_producer(struct jg_demo *demo)
{
    static const char *const own[][2] = {{"linger.ms", "0"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    demo->producer = start(demo, RD_KAFKA_PRODUCER, conf, own, sizeof own / sizeof *own);
    return demo->producer && find_public(demo, "jobgate_counter", &demo->counter, sizeof demo->counter) &&
           find_public(demo, "jobgate_memory_gauge", &demo->memory_gauge, sizeof demo->memory_gauge);
}

bool
jg_demo_produce(struct jg_demo *demo, struct jg_demo_job *job)
{
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    if (job->release[0])
        (void)rd_kafka_header_add(headers, JOBGATE_HEADER_RELEASE, -1, job->release, -1);
    job->err = rd_kafka_producev(demo->producer, RD_KAFKA_V_TOPIC(demo->topics[job->second]), RD_KAFKA_V_PARTITION(0),
                                 RD_KAFKA_V_VALUE(job->payload, strlen(job->payload)), RD_KAFKA_V_HEADERS(headers),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(job), RD_KAFKA_V_END);
    if (job->err)
        rd_kafka_headers_destroy(headers);
    if (job->err)
        return true;
    while (!job->reported && jg_clock_ms() < deadline_ms)
        rd_kafka_poll(demo->producer, POLL_MS);
    return job->reported || jg_demo_refute(demo, "no delivery report of %s", job->name);
}

const char *
jg_demo_header(const struct jg_demo_job *job, const char *name)
{
    for (size_t i = 0; i < job->header_count; i++) {
        if (strcmp(job->headers[i].name, name) == 0)
            return job->headers[i].value;
    }
    return "";
}

/* The plugin confirms a claim in the background, after the delivery report: no event of librdkafka tells. */
bool
jg_demo_await_confirmed(struct jg_demo *demo)
{
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    while (demo->counter("confirmed") < demo->claims && jg_clock_ms() < deadline_ms)
        rd_kafka_poll(demo->producer, 1);
    int64_t confirmed = demo->counter("confirmed");
    return confirmed == demo->claims ||
           jg_demo_refute(demo, "%lld claims are confirmed, not %lld", (long long)confirmed, (long long)demo->claims);
}

/* --- consuming --- */

static void
on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    struct jg_demo_consumer *consumer = opaque;
    (void)rk;
    for (int i = 0; !err && i < offsets->cnt; i++) {
        if (!offsets->elems[i].err && offsets->elems[i].offset > consumer->committed)
            consumer->committed = offsets->elems[i].offset;
    }
}

static bool
start_consumer(struct jg_demo *demo, size_t number)
{
    /* A topic that was just made may not be known yet to each broker: looked for again soon. */
    const char *const own[][2] = {{"group.id", demo->topics[0]},
                                  {"auto.offset.reset", "earliest"},
                                  {"auto.commit.interval.ms", "100"},
                                  {"heartbeat.interval.ms", "300"},
                                  {"topic.metadata.refresh.interval.ms", "500"}};
    static const char *const names[JG_DEMO_TOPICS] = {"consumer", "consumer 2"};
    struct jg_demo_consumer *consumer = &demo->consumers[number];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    rd_kafka_conf_set_opaque(conf, consumer);
    consumer->name = names[number];
    consumer->rk = start(demo, RD_KAFKA_CONSUMER, conf, own, sizeof own / sizeof *own);
    if (!consumer->rk)
        return false;
    (void)rd_kafka_poll_set_consumer(consumer->rk);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(topics, demo->topics[number], 0);
    rd_kafka_resp_err_t err =
        demo->mock ? rd_kafka_assign(consumer->rk, topics) : rd_kafka_subscribe(consumer->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (err)
        jg_cli_complain(demo->cli, "topic %s cannot be consumed: %s", demo->topics[number], rd_kafka_err2str(err));
    return !err;
}

/* A consumer that joins later makes the others leave what they have, so once all have something, they keep it. */
static bool
have_joined(struct jg_demo *demo)
{
    size_t joined = 0;
    for (size_t i = 0; i < JG_DEMO_TOPICS; i++) {
        rd_kafka_topic_partition_list_t *assigned = NULL;
        rd_kafka_message_t *rkmessage = rd_kafka_consumer_poll(demo->consumers[i].rk, POLL_MS / 10);
        if (rkmessage) /* an error that passes, or that the end of the wait tells of */
            rd_kafka_message_destroy(rkmessage);
        if (rd_kafka_assignment(demo->consumers[i].rk, &assigned))
            continue;
        joined += assigned->cnt > 0;
        rd_kafka_topic_partition_list_destroy(assigned);
    }
    return joined == JG_DEMO_TOPICS;
}

bool
jg_demo_start_consumers(struct jg_demo *demo)
{
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    bool joined = false;
    for (size_t i = 0; i < JG_DEMO_TOPICS; i++)
        if (!start_consumer(demo, i))
            return false;
    while (!(joined = have_joined(demo)) && jg_clock_ms() < deadline_ms)
        ;
    return joined || jg_demo_refute(demo, "the consumers do not get their topics");
}

/* What a poll returned, if it matters here. */
struct seen {
    enum { SEEN_NOTHING, SEEN_JOB, SEEN_SKIP, SEEN_HELD, SEEN_NOOP } what;
    int64_t offset;
    bool intact; /* SEEN_JOB: the payload is that of the expected job */
};

static const char *const verbs[] = {
    [SEEN_JOB] = "runs",
    [SEEN_SKIP] = "is skipped",
    [SEEN_HELD] = "is held",
    [SEEN_NOOP] = "ends as a no-op",
};

static bool
says(const rd_kafka_message_t *rkmessage, const char *text)
{
    return rkmessage->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && rkmessage->payload &&
           !strncmp(rkmessage->payload, text, strlen(text));
}

static struct seen
look_at(const struct jg_demo *demo, const rd_kafka_message_t *rkmessage, struct jg_demo_job *expected)
{
    struct seen seen = {.what = SEEN_NOTHING, .offset = rkmessage->offset};
    if (!rkmessage->err) {
        seen.what = SEEN_JOB;
        seen.intact = rkmessage->len == strlen(expected->payload) &&
                      !memcmp(rkmessage->payload, expected->payload, rkmessage->len);
        keep_headers(expected, rkmessage);
    } else if (says(rkmessage, JOBGATE_SKIP_TEXT)) {
        seen.what = says(rkmessage, HELD_TEXT) ? SEEN_HELD : says(rkmessage, NOOP_TEXT) ? SEEN_NOOP : SEEN_SKIP;
    } else {
        jg_demo_row(demo, JG_DEMO_PLAIN, demo->consumers[expected->second].name, rd_kafka_message_errstr(rkmessage),
                    "poll: %s", rd_kafka_err2name(rkmessage->err));
    }
    return seen;
}

/* One poll. To the plugin it says that what ran before is done. */
static struct seen
poll_once(struct jg_demo *demo, struct jg_demo_job *expected)
{
    struct seen seen = {.what = SEEN_NOTHING};
    struct jg_demo_consumer *consumer = &demo->consumers[expected->second];
    if (consumer->running)
        jg_demo_row(demo, JG_DEMO_PLAIN, consumer->name, "the program polls again, so its job is done", "%s ends",
                    consumer->running->name);
    consumer->running = NULL;
    rd_kafka_message_t *rkmessage = rd_kafka_consumer_poll(consumer->rk, POLL_MS);
    if (rkmessage) {
        seen = look_at(demo, rkmessage, expected);
        rd_kafka_message_destroy(rkmessage);
    }
    return seen;
}

static struct seen
poll_until_seen(struct jg_demo *demo, struct jg_demo_job *expected)
{
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    struct seen seen = {.what = SEEN_NOTHING};
    while (seen.what == SEEN_NOTHING && jg_clock_ms() < deadline_ms)
        seen = poll_once(demo, expected);
    return seen;
}

/* Is what was seen this very job, and does it run? */
static bool
is_handed_out(struct jg_demo *demo, const struct seen *seen, const struct jg_demo_job *job, int64_t offset)
{
    if (seen->what == SEEN_NOTHING)
        return jg_demo_refute(demo, "%s never came", job->name);
    if (seen->what != SEEN_JOB || seen->offset != offset)
        return jg_demo_refute(demo, "offset %lld %s instead of %s", (long long)seen->offset, verbs[seen->what],
                              job->name);
    if (!seen->intact)
        return jg_demo_refute(demo, "the payload of %s changed on its way", job->name);
    demo->consumers[job->second].running = job;
    return true;
}

bool
jg_demo_consume(struct jg_demo *demo, struct jg_demo_job *job)
{
    struct seen seen = poll_until_seen(demo, job);
    return is_handed_out(demo, &seen, job, job->offset);
}

static bool
consume_moved(struct jg_demo *demo, struct jg_demo_job *job, bool resumed)
{
    char jid[sizeof job->headers->value];
    snprintf(jid, sizeof jid, "%s", jg_demo_header(job, JOBGATE_HEADER_JID));
    struct seen seen = poll_until_seen(demo, job);
    bool says_resumed = jg_demo_header(job, JOBGATE_HEADER_RESUMED)[0];
    if (seen.what == SEEN_JOB && (seen.offset <= job->offset || says_resumed != resumed ||
                                  strcmp(jid, jg_demo_header(job, JOBGATE_HEADER_JID)) != 0))
        return jg_demo_refute(demo, "offset %lld runs, and is not %s", (long long)seen.offset, job->name);
    if (seen.what == SEEN_JOB)
        job->offset = seen.offset;
    return is_handed_out(demo, &seen, job, seen.offset);
}

bool
jg_demo_consume_resumed(struct jg_demo *demo, struct jg_demo_job *job)
{
    return consume_moved(demo, job, true);
}

bool
jg_demo_consume_successor(struct jg_demo *demo, struct jg_demo_job *job)
{
    return consume_moved(demo, job, false);
}

static bool
consume_unrun(struct jg_demo *demo, struct jg_demo_job *job, int what)
{
    struct seen seen = poll_until_seen(demo, job);
    if (seen.what == SEEN_NOTHING)
        return jg_demo_refute(demo, "%s never came", job->name);
    return ((int)seen.what == what && seen.offset == job->offset) ||
           jg_demo_refute(demo, "offset %lld %s; it should be that %s %s", (long long)seen.offset, verbs[seen.what],
                          job->name, verbs[what]);
}

bool
jg_demo_consume_skip(struct jg_demo *demo, struct jg_demo_job *job)
{
    return consume_unrun(demo, job, SEEN_SKIP);
}

bool
jg_demo_consume_held(struct jg_demo *demo, struct jg_demo_job *job)
{
    return consume_unrun(demo, job, SEEN_HELD);
}

bool
jg_demo_consume_noop(struct jg_demo *demo, struct jg_demo_job *job)
{
    return consume_unrun(demo, job, SEEN_NOOP);
}

static bool
poll_nothing(struct jg_demo *demo, struct jg_demo_job *job)
{
    struct seen seen = poll_once(demo, job);
    return seen.what == SEEN_NOTHING ||
           jg_demo_refute(demo, "offset %lld %s, and nothing should", (long long)seen.offset, verbs[seen.what]);
}

bool
jg_demo_end(struct jg_demo *demo, struct jg_demo_job *job, const char *counter, int64_t value)
{
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    do {
        if (!poll_nothing(demo, job))
            return false;
    } while (demo->counter(counter) < value && jg_clock_ms() < deadline_ms);
    return demo->counter(counter) >= value ||
           jg_demo_refute(demo, "%s has ended, and %s is not counted", job->name, counter);
}

bool
jg_demo_await_committed(struct jg_demo *demo, struct jg_demo_job *job)
{
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    const struct jg_demo_consumer *consumer = &demo->consumers[job->second];
    do {
        if (!poll_nothing(demo, job))
            return false;
    } while (consumer->committed <= job->offset && jg_clock_ms() < deadline_ms);
    return consumer->committed > job->offset || jg_demo_refute(demo, "the offset of %s was not committed", job->name);
}
