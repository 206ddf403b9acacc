/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary application on librdkafka, driven from outside: one JSON command a line on standard input, one JSON
 * event a line on standard output. It knows nothing of jobgate but the properties that a command hands it, and what
 * app_api.c calls.
 *
 * A command is {"cmd": WORD, "id": N, "handle": NAME, ...} and is answered by {"event": "reply", "id": N, "ms": how
 * long it took, ...}. With "on": WORKER it runs on the thread of that name, made at its first use, in order with that
 * thread's other commands; otherwise on the main thread, before the next line is read. Other events come by themselves:
 * dr (a delivery report), start and end (of a job in a loop), error (a poll's error in a loop), rebalance.
 *
 * Bytes are JSON strings where they are UTF-8, else {"hex": "..."}; null is a null payload, key or header value. */
#ifndef JG_TESTS_APP_H
#define JG_TESTS_APP_H

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define APP_NAME_BYTES 32
#define APP_PATH_BYTES 512
#define APP_ERROR_BYTES 1024

struct app_handle {
    char name[APP_NAME_BYTES];
    rd_kafka_t *rk;          /* NULL: destroyed */
    rd_kafka_topic_t *known; /* whose partitions it knew from the start; NULL: none */
    bool consumer;
    bool events;                       /* a consumer that takes events */
    _Atomic(rd_kafka_event_t *) event; /* ... that holds the message which it works on; NULL: none */
    bool has_poller;                   /* a producer's thread that serves delivery reports */
    pthread_t poller;
    atomic_bool over; /* its poller or its job loop ends */
    sem_t finish;     /* a job whose duration is "until told" waits here */
};

/* --- app.c: input, output, workers. --- */

/* Print one event. Takes `event`. Any thread. */
void app_emit(const char *kind, json_t *event);
int64_t app_clock_us(void);
/* Bytes to JSON and back. app_bytes: false when `json` is null or missing; else *data is to be freed. */
json_t *app_json_bytes(const void *data, size_t size_bytes);
bool app_bytes(const json_t *json, void **data, size_t *size_bytes);

/* --- Commands. Each returns the reply, owned by the caller. `handle` is NULL where the table in app.c says so. --- */

/* What librdkafka answered. */
json_t *app_reply_err(rd_kafka_resp_err_t err, const char *text);

/* app_handle.c */
json_t *app_create(struct app_handle *handle, const json_t *cmd);
json_t *app_close(struct app_handle *handle, const json_t *cmd);
json_t *app_destroy(struct app_handle *handle, const json_t *cmd);
json_t *app_stop(struct app_handle *handle, const json_t *cmd);
json_t *app_finish(struct app_handle *handle, const json_t *cmd);
json_t *app_message(const struct app_handle *handle, const rd_kafka_message_t *message);
struct app_handle *app_handle_find(const char *name);
/* Close and destroy what the program left open. */
void app_handles_end(void);
/* Tell every loop to end. */
void app_handles_stop(void);
bool app_is_ending(void);

/* app_produce.c */
json_t *app_produce(struct app_handle *handle, const json_t *cmd);
json_t *app_flush(struct app_handle *handle, const json_t *cmd);
json_t *app_purge(struct app_handle *handle, const json_t *cmd);
json_t *app_transaction(struct app_handle *handle, const json_t *cmd);

/* app_consume.c */
json_t *app_subscribe(struct app_handle *handle, const json_t *cmd);
json_t *app_assign(struct app_handle *handle, const json_t *cmd);
json_t *app_poll(struct app_handle *handle, const json_t *cmd);
json_t *app_batch(struct app_handle *handle, const json_t *cmd);
json_t *app_run(struct app_handle *handle, const json_t *cmd);
json_t *app_commit(struct app_handle *handle, const json_t *cmd);
json_t *app_store_offsets(struct app_handle *handle, const json_t *cmd);
json_t *app_committed(struct app_handle *handle, const json_t *cmd);
json_t *app_assignment(struct app_handle *handle, const json_t *cmd);
json_t *app_seek(struct app_handle *handle, const json_t *cmd);
json_t *app_pause(struct app_handle *handle, const json_t *cmd);
json_t *app_partitions(const rd_kafka_topic_partition_list_t *list);

/* app_events.c: the same for consumers that take events and for those that do not. */
void app_events_enable(struct app_handle *handle, rd_kafka_conf_t *conf);
void app_events_slow_down(rd_kafka_conf_t *conf);
/* The next message or error; NULL: none came in time. Goes back to app_done. One at a time a handle. */
rd_kafka_message_t *app_next(struct app_handle *handle, int timeout_ms);
void app_done(struct app_handle *handle, rd_kafka_message_t *message);
rd_kafka_resp_err_t app_consumer_close(struct app_handle *handle);

/* app_plugin.c */
json_t *app_complete(struct app_handle *handle, const json_t *cmd);
json_t *app_lease(struct app_handle *handle, const json_t *cmd);
json_t *app_counter(struct app_handle *handle, const json_t *cmd);

#endif
