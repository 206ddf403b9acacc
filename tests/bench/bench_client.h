/* SPDX-License-Identifier: Apache-2.0 */
/* A load generator: an ordinary program on librdkafka that produces Sidekiq jobs, or consumes them one at a time, as
 * fast as it can. It knows nothing of jobgate but the properties that it is given. */
#ifndef JG_TESTS_BENCH_CLIENT_H
#define JG_TESTS_BENCH_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_TEXT_BYTES 512
/* Messages before the clock starts, so that connections stand and metadata is known. */
#define BENCH_WARM_UP 64

struct bench {
    const char *topic;
    const char *class_name;
    size_t jobs;        /* after the warm-up; a consumer: with it */
    size_t distinct;    /* so many different arguments, in turns */
    size_t threads;     /* that produce */
    int64_t timeout_ms; /* without any progress, for that long: give up */
    rd_kafka_conf_t *conf;
};

/* What was measured. */
struct bench_result {
    size_t jobs; /* between the two readings of the clock */
    int64_t began_us, ended_us;
    int64_t cpu_us;    /* of the whole process in that time */
    int64_t close_us;  /* how long it took to close and destroy the handle, afterwards */
    size_t failed;     /* producer: delivery reports with an error */
    size_t queue_full; /* producer: produce calls that had to be repeated */
    size_t skipped;    /* consumer: events in place of a message */
};

/* Each takes bench->conf. False: `error` says what went wrong. */
bool bench_produce(struct bench *bench, struct bench_result *result, char *error, size_t error_bytes);
bool bench_consume(struct bench *bench, struct bench_result *result, char *error, size_t error_bytes);

int64_t bench_clock_us(void);
/* User and system time of all threads so far. */
int64_t bench_cpu_us(void);

#endif
