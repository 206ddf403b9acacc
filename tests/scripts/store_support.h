/* SPDX-License-Identifier: Apache-2.0 */
/* One store of either kind under test, with the powers of fate over it: time passes, data is lost or rewound. */
#ifndef JG_TESTS_STORE_SUPPORT_H
#define JG_TESTS_STORE_SUPPORT_H

#include <hiredis/hiredis.h>

#include "connectors/memory/memory.h"
#include "connectors/store.h"

enum subject_kind { SUBJECT_MEMORY, SUBJECT_REDIS };

struct subject {
    enum subject_kind kind;
    struct jg_store *store;
    char class_name[64];
    int64_t shift_ms;  /* by how much time was moved on */
    redisContext *raw; /* SUBJECT_REDIS: a plain connection */
    char run_id[65];   /* SUBJECT_REDIS: the server's */
    void *snapshot;    /* of the class; NULL: none was taken */
    int64_t snapshot_shift_ms;
};

/* A new store (a class that nobody else has). The address of the Redis is in $JOBGATE_TEST_REDIS. */
void subject_open(struct subject *subject, enum subject_kind kind);
void subject_close(struct subject *subject);

/* Time passes: what is to expire within `ms` has expired. Nothing waits. */
void subject_advance(struct subject *subject, int64_t ms);

/* The store restarts with all its data; with none; with that of the last subject_snapshot. */
void subject_new_epoch(struct subject *subject);
void subject_lose(struct subject *subject);
/* The class is new, on a store that lost nothing. */
void subject_flush(struct subject *subject);
void subject_snapshot(struct subject *subject);
void subject_rewind(struct subject *subject);

/* A gauge as an application would keep it, of a key of this class only; negative: there is none. */
void subject_set_gauge(struct subject *subject, const char *key, int64_t value);
/* A millisecond, for what comes by itself. */
void subject_pause(void);

/* A command of the test's own, in hiredis' format (which has %b); the caller frees the reply. */
redisReply *subject_command(struct subject *subject, const char *format, ...);

/* The test itself is broken, or out of memory: say where, and end it. Also in release builds. */
#define must(condition) must_hold((condition), #condition, __FILE__, __LINE__)
void must_hold(bool holds, const char *what, const char *file, int line);

/* A jid of the key, and the key, of small numbers. Static storage, one of 64 in turn. */
const char *key_of(unsigned key);
const char *jid_of(unsigned key, unsigned number);
const char *limit_key_of(unsigned number);
const char *member_of(const char *jid, unsigned instance);
/* A later one of a jid's chain; number 0: itself. A run at another position than member_of's. */
const char *link_of_chain(const char *jid, unsigned number);
const char *member_at(const char *jid, unsigned instance, unsigned position);

#endif
