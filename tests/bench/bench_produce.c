/* SPDX-License-Identifier: Apache-2.0 */
/* Producing: every payload is made before the clock starts; the clock stops with the last delivery report. One more
 * thread polls, as in most programs that produce from several. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench_client.h"

#define PAYLOAD_ROOM_BYTES 320
#define POLL_MS 20

struct load {
    struct bench *bench;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    char *payloads; /* PAYLOAD_ROOM_BYTES each, warm-up first */
    size_t *sizes;
    pthread_barrier_t start;
    atomic_size_t acked, failed, queue_full;
    atomic_bool refused; /* a produce call failed in a way that does not pass */
};

struct slice {
    struct load *load;
    size_t number;
    pthread_t thread;
};

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct load *load = opaque;
    (void)rk;
    atomic_fetch_add(message->err ? &load->failed : &load->acked, 1);
}

/* As Sidekiq writes it. */
static bool
make_payload(struct load *load, size_t index, uint64_t argument)
{
    char *payload = load->payloads + index * PAYLOAD_ROOM_BYTES;
    int size = snprintf(payload, PAYLOAD_ROOM_BYTES,
                        "{\"retry\":true,\"queue\":\"default\",\"class\":\"%s\",\"args\":[%" PRIu64
                        ",{\"account\":%" PRIu64 ",\"reason\":\"weekly digest\",\"urgent\":false}],"
                        "\"jid\":\"%024zx\",\"created_at\":1700000000.1234567,\"enqueued_at\":1700000000.1234567}",
                        load->bench->class_name, argument, argument % 977, index);
    load->sizes[index] = (size_t)size;
    return size > 0 && size < PAYLOAD_ROOM_BYTES;
}

static bool
make_payloads(struct load *load)
{
    const struct bench *bench = load->bench;
    size_t count = BENCH_WARM_UP + bench->jobs;
    load->payloads = malloc(count * PAYLOAD_ROOM_BYTES);
    load->sizes = calloc(count, sizeof *load->sizes);
    bool made = load->payloads && load->sizes;
    for (size_t i = 0; made && i < BENCH_WARM_UP; i++)
        made = make_payload(load, i, UINT64_C(1) << 40 | i);
    for (size_t i = 0; made && i < bench->jobs; i++)
        made = make_payload(load, BENCH_WARM_UP + i, i % bench->distinct);
    return made;
}

static void
produce_one(struct load *load, size_t index)
{
    while (rd_kafka_produce(load->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                            load->payloads + index * PAYLOAD_ROOM_BYTES, load->sizes[index], NULL, 0, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            atomic_store(&load->refused, true);
            return;
        }
        if (atomic_load(&load->refused))
            return;
        atomic_fetch_add(&load->queue_full, 1);
        rd_kafka_poll(load->rk, POLL_MS);
    }
}

static void *
produce_slice(void *opaque)
{
    const struct slice *slice = opaque;
    struct load *load = slice->load;
    pthread_barrier_wait(&load->start);
    for (size_t i = slice->number; i < load->bench->jobs && !atomic_load(&load->refused); i += load->bench->threads)
        produce_one(load, BENCH_WARM_UP + i);
    return NULL;
}

/* Poll until so many messages are reported. False: nothing happens any more. */
static bool
await_reports(struct load *load, size_t count)
{
    size_t seen = 0;
    int64_t deadline_us = bench_clock_us() + load->bench->timeout_ms * 1000;
    while (seen < count && !atomic_load(&load->refused)) {
        size_t before = seen;
        rd_kafka_poll(load->rk, POLL_MS);
        seen = atomic_load(&load->acked) + atomic_load(&load->failed);
        int64_t now_us = bench_clock_us();
        if (seen != before)
            deadline_us = now_us + load->bench->timeout_ms * 1000;
        else if (now_us > deadline_us)
            return false;
    }
    return seen >= count;
}

static bool
run(struct load *load, struct bench_result *result)
{
    size_t threads = load->bench->threads;
    size_t started = 0;
    struct slice *slices = calloc(threads, sizeof *slices);
    if (!slices || pthread_barrier_init(&load->start, NULL, (unsigned)threads + 1))
        abort();
    for (; started < threads; started++) {
        slices[started] = (struct slice){.load = load, .number = started};
        if (pthread_create(&slices[started].thread, NULL, produce_slice, &slices[started]))
            abort();
    }
    int64_t cpu_us = bench_cpu_us();
    result->began_us = bench_clock_us();
    pthread_barrier_wait(&load->start);
    bool all = await_reports(load, BENCH_WARM_UP + load->bench->jobs);
    result->ended_us = bench_clock_us();
    result->cpu_us = bench_cpu_us() - cpu_us;
    if (!all)
        atomic_store(&load->refused, true); /* ends the threads */
    for (size_t i = 0; i < started; i++)
        pthread_join(slices[i].thread, NULL);
    pthread_barrier_destroy(&load->start);
    free(slices);
    return all;
}

static bool
warm_up(struct load *load)
{
    for (size_t i = 0; i < BENCH_WARM_UP && !atomic_load(&load->refused); i++)
        produce_one(load, i);
    return await_reports(load, BENCH_WARM_UP);
}

bool
bench_produce(struct bench *bench, struct bench_result *result, char *error, size_t error_bytes)
{
    struct load load = {.bench = bench};
    rd_kafka_conf_set_dr_msg_cb(bench->conf, on_delivery);
    rd_kafka_conf_set_opaque(bench->conf, &load);
    load.rk = rd_kafka_new(RD_KAFKA_PRODUCER, bench->conf, error, error_bytes);
    if (!load.rk)
        return false;
    load.topic = rd_kafka_topic_new(load.rk, bench->topic, NULL);
    bool done = load.topic && make_payloads(&load) && warm_up(&load) && run(&load, result);
    if (!done)
        snprintf(error, error_bytes, "%zu of %zu messages were acknowledged, %zu failed, last error: %s",
                 atomic_load(&load.acked), BENCH_WARM_UP + bench->jobs, atomic_load(&load.failed),
                 rd_kafka_err2str(rd_kafka_last_error()));
    int64_t closing_us = bench_clock_us();
    if (load.topic)
        rd_kafka_topic_destroy(load.topic);
    rd_kafka_destroy(load.rk);
    result->close_us = bench_clock_us() - closing_us;
    result->jobs = bench->jobs;
    result->failed = atomic_load(&load.failed);
    result->queue_full = atomic_load(&load.queue_full);
    free(load.payloads);
    free(load.sizes);
    return done;
}
