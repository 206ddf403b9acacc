/* SPDX-License-Identifier: Apache-2.0 */
/* A consumer as Go's and Rust's clients use one: its messages, rebalances and commits come as events of its queue, and
 * nobody is called back. */
#include "tests/support/app.h"

#include <string.h>
#include <syslog.h>
#include <time.h>

#define SLOW_COMMIT_MS 300

void
app_events_enable(struct app_handle *handle, rd_kafka_conf_t *conf)
{
    handle->events = true;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR |
                                       RD_KAFKA_EVENT_STATS);
}

/* librdkafka's main thread takes its time for each request to commit. Needs debug=cgrp. */
static void
log_slowly(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    bool commit = strstr(text, "received op OFFSET_COMMIT") != NULL;
    if (commit)
        nanosleep(&(struct timespec){.tv_nsec = SLOW_COMMIT_MS * 1000000L}, NULL);
    if (commit || level < LOG_DEBUG)
        rd_kafka_log_print(rk, level, facility, text);
}

void
app_events_slow_down(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_log_cb(conf, log_slowly);
}

static void
rebalance(const struct app_handle *handle, rd_kafka_event_t *event)
{
    rd_kafka_topic_partition_list_t *partitions = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    app_emit("rebalance", json_pack("{s:s, s:s, s:o}", "handle", handle->name, "name", rd_kafka_err2name(err),
                                    "partitions", app_partitions(partitions)));
    rd_kafka_assign(handle->rk, err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? partitions : NULL);
}

/* One event of the queue. NULL: none came, or it was no message. */
static rd_kafka_message_t *
next_event(struct app_handle *handle, rd_kafka_queue_t *queue, int timeout_ms)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms);
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH) {
        /* Declared const, as it is the event's; librdkafka's own clients go on with it like this. */
        rd_kafka_message_t *message = (rd_kafka_message_t *)(uintptr_t)rd_kafka_event_message_next(event);
        handle->event = event;
        return message;
    }
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
        rebalance(handle, event);
    rd_kafka_event_destroy(event);
    return NULL;
}

rd_kafka_message_t *
app_next(struct app_handle *handle, int timeout_ms)
{
    if (!handle->events)
        return rd_kafka_consumer_poll(handle->rk, timeout_ms);
    int64_t until_us = app_clock_us() + (int64_t)timeout_ms * 1000;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(handle->rk);
    rd_kafka_message_t *message = NULL;
    int64_t left_us = (int64_t)timeout_ms * 1000;
    do {
        message = next_event(handle, queue, (int)(left_us / 1000));
        left_us = until_us - app_clock_us();
    } while (!message && left_us > 0);
    rd_kafka_queue_destroy(queue);
    return message;
}

void
app_done(struct app_handle *handle, rd_kafka_message_t *message)
{
    if (!handle->events)
        rd_kafka_message_destroy(message);
    else
        rd_kafka_event_destroy(handle->event);
    handle->event = NULL;
}

rd_kafka_resp_err_t
app_consumer_close(struct app_handle *handle)
{
    if (!handle->events)
        return rd_kafka_consumer_close(handle->rk);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(handle->rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(handle->rk, queue);
    rd_kafka_resp_err_t err = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    while (!err && !rd_kafka_consumer_closed(handle->rk)) {
        rd_kafka_message_t *message = next_event(handle, queue, 100);
        if (message)
            app_done(handle, message);
    }
    rd_kafka_queue_destroy(queue);
    return err;
}
