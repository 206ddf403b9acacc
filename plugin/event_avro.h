/* SPDX-License-Identifier: Apache-2.0 */
/* An event as an Avro record of schemas/event.avsc, in Avro's single-object encoding: two bytes that mark it, the
 * schema's fingerprint, the datum. */
#ifndef JG_PLUGIN_EVENT_AVRO_H
#define JG_PLUGIN_EVENT_AVRO_H

#include "base/buf.h"
#include "plugin/event.h"

/* Who tells an event. Texts are borrowed. */
struct jg_event_source {
    const char *name_space, *instance, *group, *client_id, *host, *version;
    int64_t pid;
};

struct jg_event_record {
    struct jg_event event;
    struct jg_event_source source;
};

/* What writes them; for one thread at a time. NULL: out of memory. */
struct jg_event_writer;
JG_MUST_USE struct jg_event_writer *jg_event_writer_new(void);
void jg_event_writer_destroy(struct jg_event_writer *writer);

/* Put the record into `out`, in place of what was there. */
JG_MUST_USE enum jg_err jg_event_write(struct jg_event_writer *writer, const struct jg_event_record *record,
                                       struct jg_buf *out);

/* The schema's fingerprint. Any thread; the first call computes it. */
uint64_t jg_event_fingerprint(void);

enum jg_event_read {
    JG_EVENT_READ,
    JG_EVENT_OTHER,   /* of another schema, e.g. a newer version's */
    JG_EVENT_CORRUPT, /* of this schema by its head, and not by what follows */
    JG_EVENT_FOREIGN  /* not in this encoding at all */
};

/* Read what anybody may have written. The record's texts lie in `texts`, in place of what was there; a kind that is not
 * known is JG_EVENTS. *fingerprint: what stands in it (JG_EVENT_READ, JG_EVENT_OTHER, JG_EVENT_CORRUPT). Nothing else
 * is filled in unless it is JG_EVENT_READ. */
JG_MUST_USE enum jg_event_read jg_event_read(const void *data, size_t size_bytes, struct jg_event_record *out,
                                             struct jg_buf *texts, uint64_t *fingerprint);

#endif
