/* SPDX-License-Identifier: Apache-2.0 */
/* What the reports share: each has a connection of its own, and asks for much at once. */
#ifndef JG_CONNECTORS_REDIS_REPORT_H
#define JG_CONNECTORS_REDIS_REPORT_H

#include "connectors/redis/redis.h"

/* One report in the making. */
struct jg_report {
    struct jg_redis *redis;
    struct jg_conn conn;
    struct jg_buf commands;
    size_t count;        /* of them */
    int64_t deadline_ms; /* monotonic, for all of it; 0: each exchange has a timeout of its own */
    int64_t now_ms;      /* the store's time, once it was asked */
    bool quiet;          /* a failure is not logged */
    struct jg_trouble trouble;
};

/* End what was begun, also when that failed: it logs an error, and returns it. */
JG_MUST_USE enum jg_err jg_report_begin(struct jg_report *report, struct jg_store *store);
enum jg_err jg_report_end(struct jg_report *report, enum jg_err err);

/* The text of a key of the class; the caller clears it. */
struct jg_buf jg_report_key(const struct jg_report *report, const char *class_name, const char *what, const char *id);

/* Add `<command> <key> [<arguments>...]`. */
void jg_report_add(struct jg_report *report, const char *command, const struct jg_buf *key,
                   const char *const *arguments, size_t count);

/* What is asked of one key of a class. `id`: the rest of its name, may be empty. All borrowed. */
struct jg_report_question {
    const char *command, *what, *id;
    const char *const *arguments;
    size_t count;
};

/* Add them all, in order. */
void jg_report_add_questions(struct jg_report *report, const char *class_name, const struct jg_report_question *asked,
                             size_t count);

/* Send what was added, and read the replies, in order; one that `each` does not take ends it. */
JG_MUST_USE enum jg_err jg_report_ask(struct jg_report *report,
                                      bool (*each)(void *opaque, size_t index, const redisReply *reply), void *opaque);

/* The classes that the namespace has seen. */
JG_MUST_USE enum jg_err jg_report_classes(struct jg_report *report, void (*each)(void *opaque, const char *class_name),
                                          void *opaque);

/* Walk the keys of the class that begin with `what`: `each` gets them in lists. A key may come twice. What `each` adds
 * is asked at once, and `answer` gets the replies. Slow on a large store. */
JG_MUST_USE enum jg_err jg_report_scan(struct jg_report *report, const char *class_name, const char *what,
                                       void (*each)(void *opaque, const redisReply *keys),
                                       bool (*answer)(void *opaque, size_t index, const redisReply *reply),
                                       void *opaque);

/* Add the question for the store's time, whose answer jg_reply_time reads. */
void jg_report_add_time(struct jg_report *report);

/* In report_class.c: what a class has; `now_ms` is known. `walk`: its claims too. */
JG_MUST_USE enum jg_err jg_report_class(struct jg_report *report, const char *class_name, bool walk,
                                        struct jg_class_report *out);

/* In report_slots.c: how many capacity slots are taken, and when they end; `now_ms` is known. */
JG_MUST_USE enum jg_err jg_report_slots(struct jg_report *report, const char *class_name, struct jg_class_report *out);

/* In report_runs.c: the gauges whose keys are there already. */
JG_MUST_USE enum jg_err jg_report_gauges(struct jg_report *report, struct jg_class_report *out);

#endif
