/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary producer and an ordinary consumer, as in any program on librdkafka. The plugin comes in by properties. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/demo.h"
#include "plugin/jobgate.h"

#define POLL_MS 100

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
start(struct jg_demo *demo, rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *const own[][2], size_t own_count)
{
    char text[1024] = "";
    rd_kafka_t *rk = NULL;
    bool good = true;
    rd_kafka_conf_set_opaque(conf, demo);
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

/* The plugin that librdkafka has loaded offers public counters (plugin/jobgate.h): how a program may look at it. */
static bool
find_counter(struct jg_demo *demo)
{
    char with_suffix[sizeof demo->plugin + 4];
    snprintf(with_suffix, sizeof with_suffix, "%s.so", demo->plugin);
    void *plugin = dlopen(demo->plugin, RTLD_NOW | RTLD_NOLOAD);
    if (!plugin)
        plugin = dlopen(with_suffix, RTLD_NOW | RTLD_NOLOAD);
    void *function = plugin ? dlsym(plugin, "jobgate_counter") : NULL;
    if (!function)
        jg_cli_complain(demo->cli, "%s has no jobgate_counter: is it of this version?", demo->plugin);
    memcpy(&demo->counter, &function, sizeof function);
    return function != NULL;
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
    return demo->producer && find_counter(demo);
}

bool
jg_demo_produce(struct jg_demo *demo, struct jg_demo_job *job)
{
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    job->err = rd_kafka_producev(demo->producer, RD_KAFKA_V_TOPIC(demo->topic), RD_KAFKA_V_PARTITION(0),
                                 RD_KAFKA_V_VALUE(job->payload, strlen(job->payload)),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(job), RD_KAFKA_V_END);
    if (job->err)
        return true;
    while (!job->reported && jg_clock_ms() < deadline_ms)
        rd_kafka_poll(demo->producer, POLL_MS);
    return job->reported || jg_demo_refute(demo, "no delivery report of %c", job->name);
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
    struct jg_demo *demo = opaque;
    (void)rk;
    for (int i = 0; !err && i < offsets->cnt; i++) {
        if (!offsets->elems[i].err && offsets->elems[i].offset > demo->committed)
            demo->committed = offsets->elems[i].offset;
    }
}

bool
jg_demo_start_consumer(struct jg_demo *demo)
{
    const char *const own[][2] = {
        {"group.id", demo->topic}, {"auto.offset.reset", "earliest"}, {"auto.commit.interval.ms", "100"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    demo->consumer = start(demo, RD_KAFKA_CONSUMER, conf, own, sizeof own / sizeof *own);
    if (!demo->consumer)
        return false;
    (void)rd_kafka_poll_set_consumer(demo->consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(topics, demo->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(demo->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (err)
        jg_cli_complain(demo->cli, "subscribing: %s", rd_kafka_err2str(err));
    return !err;
}

/* What a poll returned, if it matters here. */
struct seen {
    enum { SEEN_NOTHING, SEEN_JOB, SEEN_SKIP } what;
    int64_t offset;
    bool intact; /* SEEN_JOB: the payload is that of the expected job */
};

static struct seen
look_at(const struct jg_demo *demo, const rd_kafka_message_t *rkmessage, const struct jg_demo_job *expected)
{
    struct seen seen = {.what = SEEN_NOTHING, .offset = rkmessage->offset};
    if (!rkmessage->err) {
        seen.what = SEEN_JOB;
        seen.intact = rkmessage->len == strlen(expected->payload) &&
                      !memcmp(rkmessage->payload, expected->payload, rkmessage->len);
    } else if (rkmessage->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && rkmessage->payload &&
               !strncmp(rkmessage->payload, JOBGATE_SKIP_TEXT, strlen(JOBGATE_SKIP_TEXT))) {
        seen.what = SEEN_SKIP;
    } else {
        jg_demo_row(demo, JG_DEMO_PLAIN, "consumer", rd_kafka_message_errstr(rkmessage), "poll: %s",
                    rd_kafka_err2name(rkmessage->err));
    }
    return seen;
}

/* One poll. To the plugin it says that what ran before is done. */
static struct seen
poll_once(struct jg_demo *demo, const struct jg_demo_job *expected)
{
    struct seen seen = {.what = SEEN_NOTHING};
    if (demo->running)
        jg_demo_row(demo, JG_DEMO_PLAIN, "consumer", "the program polls again, so its job is done", "%c ends",
                    demo->running->name);
    demo->running = NULL;
    rd_kafka_message_t *rkmessage = rd_kafka_consumer_poll(demo->consumer, POLL_MS);
    if (rkmessage) {
        seen = look_at(demo, rkmessage, expected);
        rd_kafka_message_destroy(rkmessage);
    }
    return seen;
}

static struct seen
poll_until_seen(struct jg_demo *demo, const struct jg_demo_job *expected)
{
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    struct seen seen = {.what = SEEN_NOTHING};
    while (seen.what == SEEN_NOTHING && jg_clock_ms() < deadline_ms)
        seen = poll_once(demo, expected);
    return seen;
}

bool
jg_demo_consume(struct jg_demo *demo, const struct jg_demo_job *job)
{
    struct seen seen = poll_until_seen(demo, job);
    if (seen.what == SEEN_NOTHING)
        return jg_demo_refute(demo, "%c never came", job->name);
    if (seen.what != SEEN_JOB || seen.offset != job->offset)
        return jg_demo_refute(demo, "offset %lld %s instead of %c", (long long)seen.offset,
                              seen.what == SEEN_JOB ? "runs" : "is skipped", job->name);
    if (!seen.intact)
        return jg_demo_refute(demo, "the payload of %c changed on its way", job->name);
    demo->running = job;
    return true;
}

bool
jg_demo_consume_skip(struct jg_demo *demo, const struct jg_demo_job *job)
{
    struct seen seen = poll_until_seen(demo, job);
    if (seen.what == SEEN_NOTHING)
        return jg_demo_refute(demo, "%c was not seen to be skipped", job->name);
    return (seen.what == SEEN_SKIP && seen.offset == job->offset) ||
           jg_demo_refute(demo, "offset %lld %s; %c should be skipped", (long long)seen.offset,
                          seen.what == SEEN_JOB ? "runs" : "is skipped", job->name);
}

bool
jg_demo_await_committed(struct jg_demo *demo, const struct jg_demo_job *job)
{
    int64_t deadline_ms = jg_clock_ms() + JG_DEMO_WAIT_MS;
    do {
        struct seen seen = poll_once(demo, job);
        if (seen.what != SEEN_NOTHING)
            return jg_demo_refute(demo, "offset %lld %s, and nothing should", (long long)seen.offset,
                                  seen.what == SEEN_JOB ? "runs" : "is skipped");
    } while (demo->committed <= job->offset && jg_clock_ms() < deadline_ms);
    return demo->committed > job->offset || jg_demo_refute(demo, "the offset of %c was not committed", job->name);
}
