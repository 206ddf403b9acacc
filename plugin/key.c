/* SPDX-License-Identifier: Apache-2.0 */
/* Job keys and jids, declared in identify.h. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <sha2.h>

#include "base/clock.h"
#include "plugin/identify.h"

static void
put_hex(const uint8_t *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

/* A part with its length before it (8 bytes, big-endian), so that no two lists of parts make one stream of bytes. */
static void
hash_part(SHA2_CTX *hash, const void *data, size_t size_bytes)
{
    uint8_t length[8];
    uint64_t rest = size_bytes;
    for (size_t i = sizeof(length); i-- > 0; rest >>= 8)
        length[i] = (uint8_t)rest;
    SHA256Update(hash, length, sizeof(length));
    if (size_bytes > 0)
        SHA256Update(hash, data, size_bytes);
}

void
jg_job_key(const char *name_space, const char *class_name, const void *args, size_t args_bytes, char *out)
{
    SHA2_CTX hash;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256Init(&hash);
    hash_part(&hash, name_space, strlen(name_space));
    hash_part(&hash, class_name, strlen(class_name));
    hash_part(&hash, args, args_bytes);
    SHA256Final(digest, &hash);
    put_hex(digest, JG_KEY_CHARS / 2, out);
}

/* For a kernel that refuses getrandom (a strict seccomp filter): unique, if not unguessable. */
static void
fill_without_kernel(uint8_t *out, size_t count)
{
    static _Atomic uint64_t calls;
    const uint64_t seed[] = {(uint64_t)jg_wall_ms(), (uint64_t)jg_clock_us(), (uint64_t)getpid(),
                             atomic_fetch_add(&calls, 1), (uint64_t)(uintptr_t)&seed};
    SHA2_CTX hash;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256Init(&hash);
    SHA256Update(&hash, (const uint8_t *)seed, sizeof(seed));
    SHA256Final(digest, &hash);
    memcpy(out, digest, count);
}

void
jg_jid_new(const char *key, char *out)
{
    uint8_t random[JG_JID_RANDOM_CHARS / 2];
    ssize_t got;
    do {
        got = getrandom(random, sizeof(random), 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(random))
        fill_without_kernel(random, sizeof(random));
    memcpy(out, key, JG_KEY_CHARS);
    out[JG_KEY_CHARS] = '-';
    put_hex(random, sizeof(random), out + JG_KEY_CHARS + 1);
}
