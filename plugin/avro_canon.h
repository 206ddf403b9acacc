/* SPDX-License-Identifier: Apache-2.0 */
/* A schema's fingerprint, by which readers of Avro's single-object encoding find it. Pure. */
#ifndef JG_PLUGIN_AVRO_CANON_H
#define JG_PLUGIN_AVRO_CANON_H

#include <stdint.h>

#include "base/buf.h"

/* Append the Parsing Canonical Form of a schema: what matters for reading, spelled in one way. JG_EINVAL: it is no
 * schema, or one that refers to what is not there. */
JG_MUST_USE enum jg_err jg_avro_canon(struct jg_buf *out, const char *avsc);

/* CRC-64-AVRO, as Avro calls this Rabin fingerprint. */
uint64_t jg_avro_crc64(const void *data, size_t size_bytes);

#endif
