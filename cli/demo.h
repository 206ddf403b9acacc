/* SPDX-License-Identifier: Apache-2.0 */
/* `jobgate demo`: an ordinary librdkafka producer and consumer that load the plugin by properties, and what is seen of
 * it from outside. Nothing here calls into the plugin but its public counters. One thread: a job runs between two polls
 * of the consumer, and every step waits for an event, so the same story comes out each time. */
#ifndef JG_CLI_DEMO_H
#define JG_CLI_DEMO_H

#include <librdkafka/rdkafka.h>

#include "cli/cli.h"

#define JG_DEMO_PROPERTIES 16
#define JG_DEMO_HEADERS 16
#define JG_DEMO_WAIT_MS 30000 /* for each event */

/* A job of the story, and what was seen of it. */
struct jg_demo_job {
    const char *class_name;
    const char *args;
    const char *why;     /* what the timeline says when it is produced */
    char name;           /* 'A' */
    bool other_spelling; /* its payload has another order and spacing */
    bool show_headers;   /* once they were seen, the others' add nothing */

    bool reported;           /* its delivery report came */
    rd_kafka_resp_err_t err; /* of the delivery, or of the produce call */
    int64_t offset;          /* valid once delivered */
    size_t header_count;
    struct {
        char name[40];
        char value[80];
    } headers[JG_DEMO_HEADERS]; /* as the delivery report shows them */
    char payload[128];
};

struct jg_demo {
    struct jg_cli *cli;
    bool color;
    int64_t began_ms;

    const char *bootstrap_servers; /* NULL: librdkafka's mock cluster */
    const char *redis;             /* NULL: the memory store */
    char plugin[4096];             /* for plugin.library.paths */
    char topic[64];
    char name_space[64];
    struct {
        const char *name;
        const char *value;
    } properties[JG_DEMO_PROPERTIES]; /* of producer and consumer alike, the plugin's path first */
    size_t property_count;

    rd_kafka_t *plain; /* without the plugin: has the mock cluster, or makes and deletes the topic */
    bool topic_made;
    rd_kafka_t *producer;
    rd_kafka_t *consumer;
    struct jg_store *store;               /* with Redis: for the CLI's reports */
    int64_t (*counter)(const char *name); /* the plugin's public jobgate_counter */
    int64_t claims;                       /* claims that must be confirmed by now */
    int64_t committed;                    /* the consumer's offset, as the broker has it */
    const struct jg_demo_job *running;    /* NULL: none */
    bool refuted;                         /* something was not as promised */
};

/* --- the timeline --- */

enum jg_demo_look { JG_DEMO_PLAIN, JG_DEMO_GOOD, JG_DEMO_DROPPED, JG_DEMO_BAD };

void jg_demo_title(const struct jg_demo *demo, const char *text);
/* One row: time, who, what (`fmt`), and `why` in words. */
void jg_demo_row(const struct jg_demo *demo, enum jg_demo_look look, const char *who, const char *why, const char *fmt,
                 ...) JG_PRINTF(5, 6);
/* A row for what is not as promised. Returns false. */
bool jg_demo_refute(struct jg_demo *demo, const char *fmt, ...) JG_PRINTF(2, 3);
void jg_demo_print_headers(const struct jg_demo_job *job);

/* --- where it happens --- */

/* Start or reach the cluster and the store, make the topic, gather the properties. False: said why. */
JG_MUST_USE bool jg_demo_open(struct jg_demo *demo, enum jg_exit *exit);
void jg_demo_close(struct jg_demo *demo);

/* --- the two programs --- */

JG_MUST_USE bool jg_demo_start_producer(struct jg_demo *demo);
/* Produce, and wait for the delivery report: both are in `job`. False: no report came. */
JG_MUST_USE bool jg_demo_produce(struct jg_demo *demo, struct jg_demo_job *job);
/* Wait until every claim so far is confirmed. */
JG_MUST_USE bool jg_demo_await_confirmed(struct jg_demo *demo);
/* "": it has none. */
const char *jg_demo_header(const struct jg_demo_job *job, const char *name);

JG_MUST_USE bool jg_demo_start_consumer(struct jg_demo *demo);
/* Poll until `job` is handed out. */
JG_MUST_USE bool jg_demo_consume(struct jg_demo *demo, const struct jg_demo_job *job);
/* Poll until `job` is skipped. */
JG_MUST_USE bool jg_demo_consume_skip(struct jg_demo *demo, const struct jg_demo_job *job);
/* Poll, and see no job, until the broker has an offset past `job`. */
JG_MUST_USE bool jg_demo_await_committed(struct jg_demo *demo, const struct jg_demo_job *job);

/* --- the story --- */

/* Tell it all. False: something was not as promised. */
JG_MUST_USE bool jg_demo_tell(struct jg_demo *demo);

#endif
