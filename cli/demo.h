/* SPDX-License-Identifier: Apache-2.0 */
/* `jobgate demo`: an ordinary librdkafka producer and two consumers that load the plugin by properties, and what is
 * seen of it from outside. Nothing here calls into the plugin but its public functions (counters, gauges in memory).
 * One thread: a job runs between two polls of its consumer, and every step waits for an event, so the same story comes
 * out each time. */
#ifndef JG_CLI_DEMO_H
#define JG_CLI_DEMO_H

#include <librdkafka/rdkafka.h>

#include "cli/cli.h"

#define JG_DEMO_PROPERTIES 48
#define JG_DEMO_HEADERS 24
#define JG_DEMO_TOPICS 2
#define JG_DEMO_WAIT_MS 30000 /* for each event */
#define JG_DEMO_MEMORY "memory:demo"

/* The classes whose jobs may be held. */
#define JG_DEMO_LIMITED "IndexWorker"   /* has a limit */
#define JG_DEMO_ENQUEUER "Enqueuer"     /* enqueue themselves again: until_executing */
#define JG_DEMO_STRICT "StrictEnqueuer" /* ... and until_executed */
#define JG_DEMO_TENANTS "ExportWorker"  /* has a limit for each tenant */
#define JG_DEMO_AHEAD "ThumbWorker"     /* has a limit, and jobs are brought back ahead of their turn */
#define JG_DEMO_SLOTS "Importer"        /* enqueues itself again, while capacity slots are free */
#define JG_DEMO_FOLLOWED "SyncWorker"   /* until_executed, with follow-ups */
#define JG_DEMO_HOLDING 7

/* What the program itself counts, for capacity.load and capacity.work. */
enum jg_demo_gauge { JG_DEMO_MIGRATIONS, JG_DEMO_ACCOUNTS, JG_DEMO_GAUGES };

/* A job of the story, and what was seen of it. */
struct jg_demo_job {
    const char *class_name;
    const char *args;
    const char *why;     /* what the timeline says when it is produced */
    const char *name;    /* "A"; its successors are "A-1" ... */
    bool other_spelling; /* its payload has another order and spacing */
    bool show_headers;   /* once they were seen, the others' add nothing */
    bool second;         /* it goes to the second topic, hence to the second consumer */
    char release[128];   /* goes with it as jobgate-release; empty: none does */

    bool reported;           /* its delivery report came */
    rd_kafka_resp_err_t err; /* of the delivery, or of the produce call */
    int64_t offset; /* valid once delivered; where it came back to, once resumed; a successor's, once it came */
    size_t header_count;
    struct {
        char name[40];
        char value[80];
    } headers[JG_DEMO_HEADERS]; /* as the delivery report shows them, then as the consumer does; before a successor
                                 * came, what is known of it */
    char payload[128];
};

/* One for each topic, all in one group. */
struct jg_demo_consumer {
    const char *name; /* in the timeline */
    rd_kafka_t *rk;
    int64_t committed;                 /* its offset, as the broker has it */
    const struct jg_demo_job *running; /* NULL: none */
};

struct jg_demo {
    struct jg_cli *cli;
    bool color;
    int64_t began_ms;

    const char *bootstrap_servers;
    bool mock;         /* librdkafka's mock cluster: its groups do not reliably let a second member in */
    const char *redis; /* NULL: the memory store */
    char plugin[4096]; /* for plugin.library.paths */
    char topics[JG_DEMO_TOPICS][64];
    char topic_list[160];                      /* both */
    char holding_topics[JG_DEMO_HOLDING][256]; /* of the first topic, and the classes that may be held */
    char events_topic[80];
    char name_space[64];
    struct {
        char setting[96]; /* redis:<key> */
        int64_t value;
    } gauges[JG_DEMO_GAUGES];
    bool gauges_kept; /* in Redis, where they are deleted at the end */
    struct {
        const char *name;
        const char *value;
    } properties[JG_DEMO_PROPERTIES]; /* of producer and consumer alike, the plugin's path first */
    size_t property_count;
    size_t public_count; /* so many of them make the queues; the others are for the demo alone */

    rd_kafka_t *plain; /* without the plugin: has the mock cluster, or makes and deletes the topics */
    bool topics_made;
    rd_kafka_t *producer;
    struct jg_demo_consumer consumers[JG_DEMO_TOPICS];
    struct jg_store *store;               /* with Redis: for the CLI's reports */
    int64_t (*counter)(const char *name); /* the plugin's public jobgate_counter */
    int (*memory_gauge)(const char *store_url, const char *key, int64_t value); /* ... and jobgate_memory_gauge */
    int64_t claims; /* claims that must be confirmed by now */
    int64_t moves;  /* jobs that must be held, or enqueued again, by now */
    bool refuted;   /* something was not as promised */
};

/* --- the timeline --- */

enum jg_demo_look { JG_DEMO_PLAIN, JG_DEMO_GOOD, JG_DEMO_DROPPED, JG_DEMO_BAD };

void jg_demo_title(const struct jg_demo *demo, const char *text);
/* One row: time, who, what (`fmt`), and `why` in words. */
void jg_demo_row(const struct jg_demo *demo, enum jg_demo_look look, const char *who, const char *why, const char *fmt,
                 ...) JG_PRINTF(5, 6);
/* A row for what is not as promised. Returns false. */
bool jg_demo_refute(struct jg_demo *demo, const char *fmt, ...) JG_PRINTF(2, 3);
/* Lines that say what a scene is about; NULL: none. */
void jg_demo_about(const char *text);
/* Those whose names begin so. */
void jg_demo_print_headers(const struct jg_demo_job *job, const char *prefix);

/* --- where it happens --- */

/* Start or reach the cluster and the store, make the topics, gather the properties. False: said why. */
JG_MUST_USE bool jg_demo_open(struct jg_demo *demo, enum jg_exit *exit);
void jg_demo_close(struct jg_demo *demo);

/* In demo_gauge.c. Set a gauge, in the Redis or in the plugin's store in memory. */
JG_MUST_USE bool jg_demo_set_gauge(struct jg_demo *demo, enum jg_demo_gauge gauge, int64_t value);
const char *jg_demo_gauge_key(const struct jg_demo *demo, enum jg_demo_gauge gauge);
void jg_demo_delete_gauges(struct jg_demo *demo);

/* --- the programs --- */

JG_MUST_USE bool jg_demo_start_producer(struct jg_demo *demo);
/* Produce, and wait for the delivery report: both are in `job`. False: no report came. */
JG_MUST_USE bool jg_demo_produce(struct jg_demo *demo, struct jg_demo_job *job);
/* Wait until every claim so far is confirmed. */
JG_MUST_USE bool jg_demo_await_confirmed(struct jg_demo *demo);
/* "": it has none. */
const char *jg_demo_header(const struct jg_demo_job *job, const char *name);

/* Start the consumers, and poll them until each has its topic. To be called while nothing is produced yet. */
JG_MUST_USE bool jg_demo_start_consumers(struct jg_demo *demo);
/* In all that follow it is the consumer of the job's topic that polls. Until `job` is handed out: its headers are then
 * as the program sees them. */
JG_MUST_USE bool jg_demo_consume(struct jg_demo *demo, struct jg_demo_job *job);
/* Poll until `job` is skipped: as a duplicate, because it is held, as a no-op. */
JG_MUST_USE bool jg_demo_consume_skip(struct jg_demo *demo, struct jg_demo_job *job);
JG_MUST_USE bool jg_demo_consume_held(struct jg_demo *demo, struct jg_demo_job *job);
JG_MUST_USE bool jg_demo_consume_noop(struct jg_demo *demo, struct jg_demo_job *job);
/* Poll until `job`, whose jid is in its headers, is handed out past its offset, which is then its new one: it was held
 * and resumed, or it is a successor. */
JG_MUST_USE bool jg_demo_consume_resumed(struct jg_demo *demo, struct jg_demo_job *job);
JG_MUST_USE bool jg_demo_consume_successor(struct jg_demo *demo, struct jg_demo_job *job);
/* Poll, and see no job, until `job` has ended and the plugin's counter has come so far. */
JG_MUST_USE bool jg_demo_end(struct jg_demo *demo, struct jg_demo_job *job, const char *counter, int64_t value);
/* Poll, and see no job, until the broker has an offset past `job`. */
JG_MUST_USE bool jg_demo_await_committed(struct jg_demo *demo, struct jg_demo_job *job);

/* --- the story --- */

/* Tell it all. False: something was not as promised. */
JG_MUST_USE bool jg_demo_tell(struct jg_demo *demo);

#endif
