/* SPDX-License-Identifier: Apache-2.0 */
/* A consumed job on its way to a holding topic, or back to its own, and lists of such. Pure, but for headers, which are
 * librdkafka's. */
#ifndef JG_CONNECTORS_KAFKA_DEFERRAL_H
#define JG_CONNECTORS_KAFKA_DEFERRAL_H

#include "connectors/kafka/target.h"
#include "plugin/stamp.h"

enum jg_deferral_state { JG_DEFERRAL_QUEUED, JG_DEFERRAL_SENT, JG_DEFERRAL_ARRIVED };

struct jg_deferral {
    struct jg_deferral *next, *prev; /* in one of the holder's lists */
    enum jg_deferral_state state;
    uint64_t number; /* in order of being taken */
    struct jg_target *target;
    char *topic;
    int32_t partition;
    int64_t offset;
    void *key, *payload;
    size_t key_bytes, payload_bytes;
    rd_kafka_headers_t *headers;
    struct jg_stamp stamp;
    size_t size_bytes;
    enum jg_target_kind kind;
    bool alone; /* it was sent with nothing else */
    int waiters;
    bool tell;      /* by `done` */
    bool forgotten; /* its partition is somebody else's */
};

struct jg_deferrals {
    struct jg_deferral *head, *tail;
    size_t count;
};

/* A copy of the message with the headers that it goes with, in no list. NULL: out of memory. */
struct jg_deferral *jg_deferral_new(const struct jg_rdk *rdk, const char *name_space,
                                    const rd_kafka_message_t *rkmessage, const char *topic,
                                    const struct jg_stamp *stamp);
/* It goes with other headers, to another place. JG_ENOMEM: it must not go. */
JG_MUST_USE enum jg_err jg_deferral_readdress(const struct jg_rdk *rdk, const char *name_space,
                                              struct jg_deferral *each, const struct jg_stamp *stamp,
                                              enum jg_target_kind kind);
/* Hand it to a producer, whose delivery report has it as its opaque. Its target is ready. */
rd_kafka_resp_err_t jg_deferral_produce(const struct jg_rdk *rdk, rd_kafka_t *producer, struct jg_deferral *each);
void jg_deferral_destroy(const struct jg_rdk *rdk, struct jg_deferral *each);
/* topic NULL: of any. */
bool jg_deferral_is_of(const struct jg_deferral *each, const char *topic, int32_t partition);

void jg_deferrals_push(struct jg_deferrals *list, struct jg_deferral *each);
/* Put it before the first one after `from` (NULL: of all) that was taken later. */
void jg_deferrals_insert(struct jg_deferrals *list, struct jg_deferral *from, struct jg_deferral *each);
void jg_deferrals_take_out(struct jg_deferrals *list, struct jg_deferral *each);
struct jg_deferral *jg_deferrals_take_first(struct jg_deferrals *list); /* NULL: it is empty */
/* The one of a job at a position that is not forgotten; NULL: none. */
struct jg_deferral *jg_deferrals_find(const struct jg_deferrals *list, const char *topic, int32_t partition,
                                      int64_t offset, const char *jid);

#endif
