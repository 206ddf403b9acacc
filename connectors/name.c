/* SPDX-License-Identifier: Apache-2.0 */
#include <sha2.h>
#include <string.h>

#include "connectors/store_impl.h"

#define NAME_MAX_CHARS 100
#define NAME_HASH_BYTES 16

static bool
stays(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_';
}

static void
append_hex(struct jg_buf *out, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    char pair[2] = {hex[byte >> 4], hex[byte & 15]};
    jg_buf_append(out, pair, sizeof pair);
}

void
jg_name_escape(struct jg_buf *out, const char *name)
{
    size_t start = out->size_bytes;
    for (const unsigned char *at = (const unsigned char *)name; *at; at++) {
        if (stays(*at)) {
            jg_buf_append(out, at, 1);
        } else {
            jg_buf_text(out, "-");
            append_hex(out, *at);
        }
    }
    if (out->failed || out->size_bytes - start <= NAME_MAX_CHARS)
        return;
    SHA2_CTX context;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256Init(&context);
    SHA256Update(&context, (const uint8_t *)name, strlen(name));
    SHA256Final(digest, &context);
    out->size_bytes = start + NAME_MAX_CHARS - 2 - 2 * NAME_HASH_BYTES;
    jg_buf_text(out, "--");
    for (size_t i = 0; i < NAME_HASH_BYTES; i++)
        append_hex(out, digest[i]);
}
