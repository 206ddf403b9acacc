/* SPDX-License-Identifier: Apache-2.0 */
/* The stamp reader on hostile headers. Input: records of one byte (which name; above the known ones: none of ours), one
 * byte of length, and that many bytes of value. */
#include <stdlib.h>
#include <string.h>

#include "plugin/stamp.h"

static const char *const names[] = {
    "jobgate-v",
    "jobgate-origin",
    "jobgate-jid",
    "jobgate-class",
    "jobgate-key",
    "jobgate-dedup",
    "jobgate-duplicate-of",
    "jobgate-duplicate-since",
    "jobgate-candidate-of",
    "jobgate-unclaimed",
    "jobgate-release",
    "jobgate-",
    "jobgate-later",
    "trace",
};
#define NAMES (sizeof names / sizeof *names)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size_bytes);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size_bytes)
{
    struct jg_stamp_reader reader = {.any = false};
    while (size_bytes >= 2) {
        const char *name = names[data[0] % NAMES];
        size_t value_bytes = data[1];
        data += 2;
        size_bytes -= 2;
        if (value_bytes > size_bytes)
            value_bytes = size_bytes;
        jg_stamp_reader_add(&reader, name, value_bytes ? data : NULL, value_bytes, "default", "jobs");
        data += value_bytes;
        size_bytes -= value_bytes;
    }
    if (jg_stamp_reader_end(&reader) != JG_STAMP_OURS)
        return 0;
    /* What is believed has the form that the rest relies on. */
    const struct jg_stamp *stamp = &reader.stamp;
    if (!jg_jid_valid(stamp->jid, strlen(stamp->jid)) || strlen(stamp->key) != JG_KEY_CHARS || !stamp->class_name[0] ||
        strncmp(stamp->jid, stamp->key, JG_KEY_CHARS) != 0 || stamp->dedup == JG_DEDUP_NONE)
        abort();
    return 0;
}
