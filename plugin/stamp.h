/* SPDX-License-Identifier: Apache-2.0 */
/* The `jobgate-*` headers of a message: what the producer's plugin tells the consumer's. */
#ifndef JG_PLUGIN_STAMP_H
#define JG_PLUGIN_STAMP_H

#include "plugin/identify.h"
#include "plugin/jobgate.h"
#include "plugin/rdk.h"

struct jg_stamp {
    char jid[JG_JID_CHARS + 1];
    char key[JG_KEY_CHARS + 1];
    char class_name[JG_CLASS_MAX_BYTES + 1];
    enum jg_dedup dedup;
    char duplicate_of[JG_JID_CHARS + 1]; /* empty: not a marked duplicate */
    int64_t duplicate_since_ms;          /* Unix time of the original's claim */
    char candidate_of[JG_JID_CHARS + 1]; /* empty: not a candidate */
    int64_t follow_up;                   /* the candidate's number, of one that may have to run after it; 0: none */
    bool unclaimed;                      /* sent while the store was down */

    char limit_key[JG_KEY_CHARS + 1]; /* of its limit by key, as who held it found it; empty: none, or not known */
    int64_t held_since_ms;            /* Unix time of being held for the first time; 0: it never was */
    enum jg_reason held_reason;
    int32_t held_partition; /* where it first came from in its origin topic */
    int64_t held_offset;
    int64_t held_time_ms;  /* the message's own timestamp */
    int64_t resumed;       /* how often it was brought back; 0: it is no resumed job */
    int64_t not_before_ms; /* in the holding topic: not to be resumed before this Unix time; 0: at any time */
    int64_t attempt;       /* how often it has failed, one after another; 0: it did not */
};

/* Remove every `jobgate-*` header that came with the message, but `jobgate-release`. Returns how many went.
 * Thread: the one that calls on_send. Changes the list in place, never replaces it. */
size_t jg_stamp_strip(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage);

/* Add the headers. JG_ENOMEM: some may be missing; strip before sending. */
JG_MUST_USE enum jg_err jg_stamp_write(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage,
                                       const struct jg_stamp *stamp, const char *name_space, const char *topic);

/* Put the stamp into a list of headers, in the place of every `jobgate-*` header but `jobgate-release`: how a job goes
 * to the holding topic and comes back. JG_ENOMEM: some may be missing. Any thread that owns the list. */
JG_MUST_USE enum jg_err jg_stamp_replace(const struct jg_rdk *rdk, rd_kafka_headers_t *headers,
                                         const struct jg_stamp *stamp, const char *name_space, const char *topic);

/* The fencing token of its lease, as the application gets it. JG_ENOMEM: it has
 * none. Thread: inside on_consume. */
JG_MUST_USE enum jg_err jg_stamp_token(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage, int64_t token);
/* What we add for the application, and a message may not bring (notes.given): gone. */
void jg_stamp_strip_given(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage);

/* The capacity slot that the job takes, `<class>/<jid>`, for its jobgate-release. As jg_stamp_token. */
JG_MUST_USE enum jg_err jg_stamp_slot(const struct jg_rdk *rdk, rd_kafka_message_t *rkmessage, const char *class_name,
                                      const char *jid);

enum jg_stamped {
    JG_STAMP_NONE,   /* no plugin produced it */
    JG_STAMP_OURS,   /* well-formed, of this namespace, topic and a known version */
    JG_STAMP_FOREIGN /* any other: to be ignored, and counted */
};

/* What else stands in the headers. */
#define JG_RELEASES_MOST 16
struct jg_stamp_notes {
    bool given;           /* a header that only we may add */
    size_t release_count; /* of jobgate-release headers; those past the list are left alone */
    struct {
        const void *value; /* borrowed from the message; NULL: none */
        size_t size_bytes;
    } releases[JG_RELEASES_MOST];
};

/* Read the headers as the consumer got them. `out` is filled only for JG_STAMP_OURS; `notes` always; NULL is fine. */
JG_MUST_USE enum jg_stamped jg_stamp_read(const struct jg_rdk *rdk, const rd_kafka_message_t *rkmessage,
                                          const char *name_space, const char *topic, struct jg_stamp *out,
                                          struct jg_stamp_notes *notes);

/* The jid alone, for acknowledgements of our own messages. False: none. `out` has JG_JID_CHARS + 1 bytes. */
JG_MUST_USE bool jg_stamp_jid(const struct jg_rdk *rdk, const rd_kafka_message_t *rkmessage, char *out);

/* Has it a jobgate-release? */
JG_MUST_USE bool jg_stamp_has_release(const struct jg_rdk *rdk, const rd_kafka_message_t *rkmessage);

/* --- the pure part, for tests and fuzzing: headers one by one --- */

/* A jobgate-release header: `<class>/<jid>`; a class may hold slashes. */
struct jg_release {
    char class_name[JG_CLASS_MAX_BYTES + 1];
    char jid[JG_JID_CHARS + 1];
    bool told; /* the store knows */
};

/* False: malformed, or NULL. */
JG_MUST_USE bool jg_release_parse(const void *value, size_t size_bytes, struct jg_release *out);

struct jg_stamp_reader {
    struct jg_stamp stamp;
    unsigned seen;  /* bit per known header */
    bool any;       /* some jobgate-* header was there */
    bool malformed; /* a bad value, or a header twice */
    bool origin_ok, version_ok;
    struct jg_stamp_notes notes;
};

void jg_stamp_reader_add(struct jg_stamp_reader *reader, const char *name, const void *value, size_t value_bytes,
                         const char *name_space, const char *topic);
JG_MUST_USE enum jg_stamped jg_stamp_reader_end(const struct jg_stamp_reader *reader);

#endif
