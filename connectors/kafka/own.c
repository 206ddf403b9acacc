/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/kafka/own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define VALUE_BYTES 512
#define STEP_MS 50 /* then it is looked whether there is a hurry */

/* Prefixes of what stays with the host: its callbacks, its group, its tuning. */
static const char *const hosts_alone[] = {"plugin.library.paths",
                                          "interceptors",
                                          "opaque",
                                          "enabled_events",
                                          "error_cb",
                                          "throttle_cb",
                                          "stats_cb",
                                          "log_cb",
                                          "socket_cb",
                                          "connect_cb",
                                          "closesocket_cb",
                                          "open_cb",
                                          "resolve_cb",
                                          "dr_cb",
                                          "dr_msg_cb",
                                          "rebalance_cb",
                                          "offset_commit_cb",
                                          "consume_cb",
                                          "background_event_cb",
                                          "oauthbearer_token_refresh_cb",
                                          "ssl.certificate.verify_cb",
                                          "ssl_cert_verify_cb",
                                          "group.",
                                          "transactional.",
                                          "transaction.",
                                          "test.mock",
                                          "statistics.",
                                          "default_topic_conf",
                                          "session.",
                                          "heartbeat.",
                                          "max.poll",
                                          "partition.",
                                          "enable.auto",
                                          "auto.",
                                          "enable.partition",
                                          "queued.",
                                          "fetch.",
                                          "queue.",
                                          "linger",
                                          "batch.",
                                          "message.",
                                          "isolation.",
                                          "enable.idempotence",
                                          "enable.gapless",
                                          "acks",
                                          "request.",
                                          "delivery.",
                                          "retries",
                                          "retry.",
                                          "max.in.flight",
                                          "max.message",
                                          "log.",
                                          "enable.background",
                                          "consume.",
                                          "enable.random",
                                          "sticky.",
                                          "coordinator.",
                                          "topic.metadata.refresh.sparse",
                                          "topic.blacklist",
                                          "produce.",
                                          "dr.",
                                          "enable.metrics"};

static void
get(const struct jg_rdk *rdk, const rd_kafka_conf_t *conf, const char *name, char *value)
{
    size_t size_bytes = VALUE_BYTES;
    if (rdk->conf_get(conf, name, value, &size_bytes))
        value[0] = '\0';
}

struct override_search {
    const char *prefix;
    bool found;
};

static bool
match_override(void *opaque, const char *name, const char *value)
{
    struct override_search *search = opaque;
    (void)value;
    search->found = strncmp(name, search->prefix, strlen(search->prefix)) == 0;
    return !search->found;
}

/* Is some `jobgate.kafka.<prefix>*` set? */
static bool
is_overridden(const struct jg_conf *conf, const char *prefix)
{
    struct override_search search = {.prefix = prefix};
    jg_conf_each_kafka(conf, match_override, &search);
    return search.found;
}

enum jg_err
jg_own_check(const struct jg_rdk *rdk, const rd_kafka_conf_t *host, const struct jg_conf *conf, struct jg_error *error)
{
    if (!rdk->no_admin)
        return jg_own_check_callbacks(rdk, host, conf, "a limit", error);
    snprintf(error->text, sizeof error->text,
             "a limit is set, for which jobgate makes topics, and %s was left out when librdkafka was linked "
             "into this program: link all of it (-Wl,--whole-archive librdkafka.a), or use the shared "
             "librdkafka.so.1",
             rdk->no_admin);
    return JG_EHOST;
}

enum jg_err
jg_own_check_callbacks(const struct jg_rdk *rdk, const rd_kafka_conf_t *host, const struct jg_conf *conf,
                       const char *what, struct jg_error *error)
{
    char mechanism[VALUE_BYTES], method[VALUE_BYTES], unsecure[VALUE_BYTES], verify[VALUE_BYTES];
    get(rdk, host, "sasl.mechanisms", mechanism);
    get(rdk, host, "sasl.oauthbearer.method", method);
    get(rdk, host, "enable.sasl.oauthbearer.unsecure.jwt", unsecure);
    get(rdk, host, "ssl.certificate.verify_cb", verify);
    if (strcmp(mechanism, "OAUTHBEARER") == 0 && strcmp(method, "oidc") != 0 && strcmp(unsecure, "true") != 0 &&
        !is_overridden(conf, "sasl.")) {
        snprintf(error->text, sizeof error->text,
                 "%s is set, for which jobgate needs Kafka clients of its own, and they cannot call this program's "
                 "token callback (sasl.mechanisms=OAUTHBEARER): give them credentials by jobgate.kafka.sasl.*, or set "
                 "sasl.oauthbearer.method=oidc",
                 what);
        return JG_EINVAL;
    }
    if (verify[0] && !is_overridden(conf, "ssl.") && !is_overridden(conf, "enable.ssl.")) {
        snprintf(error->text, sizeof error->text,
                 "%s is set, for which jobgate needs Kafka clients of its own, and they cannot call this program's "
                 "certificate callback (ssl.certificate.verify_cb): set jobgate.kafka.ssl.ca.location to what verifies "
                 "the brokers",
                 what);
        return JG_EINVAL;
    }
    return JG_OK;
}

struct setter {
    const struct jg_rdk *rdk;
    rd_kafka_conf_t *conf;
    struct jg_error *error;
    bool failed;
};

static bool
set_override(void *opaque, const char *name, const char *value)
{
    struct setter *setter = opaque;
    char text[256] = "";
    if (setter->rdk->conf_set(setter->conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return true;
    /* The reason of librdkafka may quote the value, which may be a password. */
    snprintf(setter->error->text, sizeof setter->error->text,
             "jobgate.kafka.%.100s: librdkafka has no such property, or does not take this value", name);
    setter->failed = true;
    return false;
}

enum jg_err
jg_own_base(const struct jg_rdk *rdk, const rd_kafka_conf_t *host, const struct jg_conf *conf, rd_kafka_conf_t **out,
            struct jg_error *error)
{
    const char *filter[sizeof hosts_alone / sizeof hosts_alone[0]];
    memcpy(filter, hosts_alone, sizeof filter);
    struct setter setter = {.rdk = rdk, .error = error};
    setter.conf = rdk->conf_dup_filter(host, sizeof filter / sizeof filter[0], filter);
    if (!setter.conf) {
        snprintf(error->text, sizeof error->text, "out of memory");
        return JG_ENOMEM;
    }
    jg_conf_each_kafka(conf, set_override, &setter);
    if (setter.failed) {
        rdk->conf_destroy(setter.conf);
        return JG_EINVAL;
    }
    *out = setter.conf;
    return JG_OK;
}

static void
drop_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    /* What matters comes as an error of a call, and is told there with what it means. */
    (void)rk;
    (void)level;
    (void)fac;
    (void)text;
}

rd_kafka_t *
jg_own_client(const struct jg_own *own, rd_kafka_type_t type, const char *const *settings,
              void (*dr_msg_cb)(rd_kafka_t *, const rd_kafka_message_t *, void *), void *opaque, struct jg_error *error)
{
    const struct jg_rdk *rdk = own->rdk;
    rd_kafka_conf_t *conf = rdk->conf_dup(own->base);
    error->text[0] = '\0';
    for (; *settings; settings += 2)
        if (rdk->conf_set(conf, settings[0], settings[1], error->text, sizeof error->text)) {
            rdk->conf_destroy(conf);
            return NULL;
        }
    /* Only newer versions have these: it would open connections for nothing; a consumer whose queue was full once would
     * read on a second later. */
    (void)rdk->conf_set(conf, "enable.metrics.push", "false", NULL, 0);
    if (type == RD_KAFKA_CONSUMER)
        (void)rdk->conf_set(conf, "fetch.queue.backoff.ms", "50", NULL, 0);
    rdk->conf_set_opaque(conf, opaque);
    rdk->conf_set_log_cb(conf, drop_log);
    if (dr_msg_cb)
        rdk->conf_set_dr_msg_cb(conf, dr_msg_cb);
    rd_kafka_t *rk = rdk->new (type, conf, error->text, sizeof error->text);
    if (!rk)
        rdk->conf_destroy(conf);
    return rk;
}

void
jg_own_close(const struct jg_own *own, rd_kafka_t *rk)
{
    if (rk)
        own->rdk->destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

int
jg_own_wait_ms(const struct jg_own *own, int64_t most_ms)
{
    int64_t until_ms = own->until_ms ? atomic_load(own->until_ms) : 0;
    int64_t left_ms = until_ms ? until_ms - jg_clock_ms() : most_ms;
    return (int)(left_ms < 0 ? 0 : left_ms < most_ms ? left_ms : most_ms);
}

rd_kafka_event_t *
jg_own_answer(const struct jg_own *own, rd_kafka_queue_t *queue, int64_t most_ms)
{
    rd_kafka_event_t *answer = NULL;
    int64_t until_ms = jg_clock_ms() + most_ms;
    int64_t left_ms;
    while (!answer && (left_ms = jg_own_wait_ms(own, until_ms - jg_clock_ms())) > 0)
        answer = own->rdk->queue_poll(queue, (int)(left_ms < STEP_MS ? left_ms : STEP_MS));
    return answer;
}
