/* SPDX-License-Identifier: Apache-2.0 */
/* Consuming, one message at a time, on one thread. The topic is full before it starts; the clock runs from the first
 * event to the last, so that joining the group is not in it. */
#include <stdio.h>

#include "tests/bench/bench_client.h"

#define POLL_MS 100

/* A message, or what a skipped one looks like. */
static bool
counts(const rd_kafka_message_t *message, struct bench_result *result)
{
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return false;
    result->skipped += message->err != 0;
    return true;
}

static bool
consume_all(rd_kafka_t *rk, const struct bench *bench, struct bench_result *result, char *error, size_t error_bytes)
{
    size_t seen = 0, seen_idle = 0;
    int64_t cpu_us = 0;
    int64_t deadline_us = bench_clock_us() + bench->timeout_ms * 1000;
    snprintf(error, error_bytes, "nothing came");
    while (seen < bench->jobs) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, POLL_MS);
        if (message && counts(message, result)) {
            rd_kafka_message_destroy(message);
            if (seen++ == 0) {
                result->began_us = bench_clock_us();
                cpu_us = bench_cpu_us();
            }
            continue;
        }
        snprintf(error, error_bytes, "%zu of %zu messages came, then: %s", seen, bench->jobs,
                 message ? rd_kafka_message_errstr(message) : "nothing");
        if (message)
            rd_kafka_message_destroy(message);
        if (seen != seen_idle)
            deadline_us = bench_clock_us() + bench->timeout_ms * 1000;
        else if (bench_clock_us() > deadline_us)
            return false;
        seen_idle = seen;
    }
    result->ended_us = bench_clock_us();
    result->cpu_us = bench_cpu_us() - cpu_us;
    result->jobs = seen - 1;
    return true;
}

bool
bench_consume(struct bench *bench, struct bench_result *result, char *error, size_t error_bytes)
{
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, bench->conf, error, error_bytes);
    if (!rk)
        return false;
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, bench->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (err)
        snprintf(error, error_bytes, "%s", rd_kafka_err2str(err));
    bool done = !err && consume_all(rk, bench, result, error, error_bytes);
    int64_t closing_us = bench_clock_us();
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    result->close_us = bench_clock_us() - closing_us;
    return done;
}
