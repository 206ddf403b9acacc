/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/host.h"

#define VALUE_BYTES 512
#define FASTER_COMMIT_MS "100" /* an application's stored offsets end its jobs, so they are committed soon */
#define DEFAULT_COMMIT_MS "5000"

/* A property's text; empty when it is not set. */
static void
get(const struct jg_rdk *rdk, const rd_kafka_conf_t *rk_conf, const char *name, char *value)
{
    size_t size_bytes = VALUE_BYTES;
    if (rdk->conf_get(rk_conf, name, value, &size_bytes))
        value[0] = '\0';
}

static bool
get_bool(const struct jg_rdk *rdk, const rd_kafka_conf_t *rk_conf, const char *name)
{
    char value[VALUE_BYTES];
    get(rdk, rk_conf, name, value);
    return strcmp(value, "true") == 0;
}

static int64_t
get_number(const struct jg_rdk *rdk, const rd_kafka_conf_t *rk_conf, const char *name, int64_t otherwise)
{
    char value[VALUE_BYTES];
    get(rdk, rk_conf, name, value);
    return value[0] ? strtoll(value, NULL, 10) : otherwise;
}

/* A callback is printed as its address. */
static uintptr_t
get_address(const struct jg_rdk *rdk, const rd_kafka_conf_t *rk_conf, const char *name)
{
    char value[VALUE_BYTES];
    get(rdk, rk_conf, name, value);
    return value[0] ? (uintptr_t)strtoull(value, NULL, 16) : 0;
}

static void
read_producer(const struct jg_rdk *rdk, const rd_kafka_conf_t *rk_conf, struct jg_client *out)
{
    char value[VALUE_BYTES];
    get(rdk, rk_conf, "transactional.id", value);
    out->transactional = value[0] != '\0';
    out->weak_acks = get_number(rdk, rk_conf, "acks", -1) != -1;
    out->message_timeout_ms = get_number(rdk, rk_conf, "message.timeout.ms", 300000);
}

static void
read_consumer(const struct jg_rdk *rdk, const rd_kafka_conf_t *rk_conf, const struct jg_settings *settings,
              struct jg_client *out)
{
    char value[VALUE_BYTES];
    get(rdk, rk_conf, "group.id", value);
    out->consumer = value[0] != '\0';
    snprintf(out->group, sizeof out->group, "%.255s", value);
    out->auto_commit = get_bool(rdk, rk_conf, "enable.auto.commit");
    out->auto_store = get_bool(rdk, rk_conf, "enable.auto.offset.store");
    out->commits_itself = !out->auto_commit || !out->auto_store;
    out->max_poll_interval_ms = get_number(rdk, rk_conf, "max.poll.interval.ms", 300000);
    out->events = get_number(rdk, rk_conf, "enabled_events", 0) != 0;
    out->completion = settings->completion != JG_COMPLETION_AUTO ? settings->completion
                      : out->commits_itself                      ? JG_COMPLETION_COMMIT
                      : jg_host_kind() == JG_HOST_NODE           ? JG_COMPLETION_AUTO
                                                                 : JG_COMPLETION_POLL;
    /* Any other error ends the loop of a Node client in flowing mode, for good and unseen: this one is a warning. */
    out->withheld_err =
        jg_host_kind() == JG_HOST_NODE ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART : RD_KAFKA_RESP_ERR__STATE;
    enum jg_skip_error skip = settings->skip_error;
    bool eof = get_bool(rdk, rk_conf, "enable.partition.eof"); /* then a real one means something to the application */
    if (!settings->skip_error_is_set && (eof || jg_host_kind() == JG_HOST_GO))
        skip = JG_SKIP_TIMED_OUT;
    out->skip_err = skip == JG_SKIP_PARTITION_EOF ? RD_KAFKA_RESP_ERR__PARTITION_EOF
                    : skip == JG_SKIP_TIMED_OUT   ? RD_KAFKA_RESP_ERR__TIMED_OUT
                                                  : RD_KAFKA_RESP_ERR__NOOP;
    uintptr_t address = get_address(rdk, rk_conf, "rebalance_cb");
    memcpy(&out->rebalance_cb, &address, sizeof address);
}

void
jg_client_read(const struct jg_rdk *rdk, const rd_kafka_conf_t *rk_conf, rd_kafka_type_t type,
               const struct jg_settings *settings, struct jg_client *out)
{
    char value[VALUE_BYTES];
    *out = (struct jg_client){.producer = type == RD_KAFKA_PRODUCER};
    if (out->producer)
        read_producer(rdk, rk_conf, out);
    else
        read_consumer(rdk, rk_conf, settings, out);
    get(rdk, rk_conf, "client.id", value);
    snprintf(out->client_id, sizeof out->client_id, "%.63s", value);
    uintptr_t address = get_address(rdk, rk_conf, "log_cb");
    if (address != (uintptr_t)rdk->log_print && !get_bool(rdk, rk_conf, "log.queue"))
        memcpy(&out->log_cb, &address, sizeof address);
}

enum jg_err
jg_client_check(const struct jg_client *client, const struct jg_settings *settings, struct jg_error *error)
{
    if (settings->completion == JG_COMPLETION_COMMIT && client->auto_commit && client->auto_store) {
        snprintf(error->text, sizeof error->text,
                 "jobgate.completion=commit needs an application that stores or commits its offsets: set "
                 "enable.auto.offset.store=false or enable.auto.commit=false, or leave jobgate.completion at auto");
        return JG_EINVAL;
    }
    if (settings->completion == JG_COMPLETION_POLL && client->consumer && jg_host_kind() == JG_HOST_NODE) {
        snprintf(error->text, sizeof error->text,
                 "jobgate.completion=poll cannot work in Node, which polls ahead of the program: set "
                 "enable.auto.offset.store=false and store offsets when jobs are done, or jobgate.completion=api");
        return JG_EINVAL;
    }
    if (settings->skip_error_is_set && settings->skip_error == JG_SKIP_NOOP && client->consumer &&
        jg_host_kind() == JG_HOST_NODE) {
        snprintf(error->text, sizeof error->text,
                 "jobgate.skip.error=noop would end the loop of a Node client at the first skip: leave it unset");
        return JG_EINVAL;
    }
    if (settings->close == JG_CLOSE_REDELIVER && client->events && client->completion == JG_COMPLETION_POLL) {
        snprintf(error->text, sizeof error->text,
                 "jobgate.close=redeliver cannot be honoured for a client that takes events (Go, Rust), whose close "
                 "looks like a poll: set enable.auto.offset.store=false and store offsets when jobs are done");
        return JG_EINVAL;
    }
    return JG_OK;
}

static enum jg_err
set(const struct jg_rdk *rdk, rd_kafka_conf_t *rk_conf, const char *name, const char *value, struct jg_error *error)
{
    return rdk->conf_set(rk_conf, name, value, error->text, sizeof error->text) ? JG_EHOST : JG_OK;
}

enum jg_err
jg_client_take_over(const struct jg_rdk *rdk, rd_kafka_conf_t *rk_conf, const struct jg_client *client,
                    jg_rebalance_cb *rebalance_cb, struct jg_error *error)
{
    char interval[VALUE_BYTES];
    enum jg_err err = JG_OK;
    get(rdk, rk_conf, "auto.commit.interval.ms", interval);
    if (client->auto_commit && !client->auto_store && strcmp(interval, DEFAULT_COMMIT_MS) == 0)
        err = set(rdk, rk_conf, "auto.commit.interval.ms", FASTER_COMMIT_MS, error);
    if (err == JG_OK)
        err = set(rdk, rk_conf, "isolation.level", "read_committed", error);
    /* A host that takes rebalances as events has no callback to wrap, and with one would get no events. */
    if (err == JG_OK && !client->events)
        rdk->conf_set_rebalance_cb(rk_conf, rebalance_cb);
    return err;
}
