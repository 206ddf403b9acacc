/* SPDX-License-Identifier: Apache-2.0 */
/* Reads partitions to where they ended when it began, and commits nothing. */
#ifndef JG_CLI_KAFKA_READ_H
#define JG_CLI_KAFKA_READ_H

#include "cli/kafka.h"

enum jg_read { JG_READ_ALL, JG_READ_LATE, JG_READ_FAILED };

struct jg_reader {
    struct jg_cli_kafka *kafka;
    const char *what;          /* is read, for complaints */
    struct jg_cli_rest *rests; /* their `begin` moves on */
    size_t count;
    int64_t deadline_ms; /* of the clock; 0: none, but JG_CLI_KAFKA_MS without a message is a failure in any case */
    void (*each)(void *opaque, const struct jg_cli_rest *rest, const rd_kafka_message_t *message);
    void (*tick)(void *opaque); /* now and then, for progress; NULL: not wanted */
    void *opaque;
    size_t open; /* partitions that are not read yet */
    size_t last; /* the one that a message came from */
};

/* JG_READ_LATE: the deadline came first. JG_READ_FAILED: said why on standard error. */
JG_MUST_USE enum jg_read jg_cli_kafka_read(struct jg_reader *reader);

/* The last header of that name. False: there is none, or it has no value. */
bool jg_cli_header(const rd_kafka_headers_t *headers, const char *name, const void **value, size_t *value_bytes);
/* Likewise as text, cut where it is too long; empty: there is none. */
void jg_cli_header_text(const rd_kafka_headers_t *headers, const char *name, char *out, size_t out_bytes);

#endif
