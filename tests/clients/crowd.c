/* SPDX-License-Identifier: Apache-2.0 */
/* Linked into a program with -rdynamic: another hiredis, jansson, avro-c, yajl and libmd, as a host may carry them in
 * versions that do not fit ours. The loader offers these to every library that it loads. None of them may be called. */
#include <stdio.h>
#include <stdlib.h>

#define STRANGERS(X)                                                                                                   \
    X(redisReaderCreate)                                                                                               \
    X(redisReaderCreateWithFunctions)                                                                                  \
    X(redisReaderFeed)                                                                                                 \
    X(redisReaderFree)                                                                                                 \
    X(redisReaderGetReply)                                                                                             \
    X(redisCommand)                                                                                                    \
    X(redisConnect)                                                                                                    \
    X(redisFree)                                                                                                       \
    X(freeReplyObject)                                                                                                 \
    X(sdsnewlen)                                                                                                       \
    X(sdscatlen)                                                                                                       \
    X(sdsfree)                                                                                                         \
    X(json_loads)                                                                                                      \
    X(json_loadb)                                                                                                      \
    X(json_object)                                                                                                     \
    X(json_object_get)                                                                                                 \
    X(json_object_seed)                                                                                                \
    X(json_array_get)                                                                                                  \
    X(json_string_value)                                                                                               \
    X(json_delete)                                                                                                     \
    X(avro_schema_from_json_length)                                                                                    \
    X(avro_schema_decref)                                                                                              \
    X(avro_schema_record_size)                                                                                         \
    X(avro_strerror)                                                                                                   \
    X(avro_set_error)                                                                                                  \
    X(yajl_alloc)                                                                                                      \
    X(yajl_parse)                                                                                                      \
    X(yajl_complete_parse)                                                                                             \
    X(yajl_lex_lex)                                                                                                    \
    X(yajl_free)                                                                                                       \
    X(SHA256Init)                                                                                                      \
    X(SHA256Update)                                                                                                    \
    X(SHA256Final)                                                                                                     \
    X(SHA256Transform)

#define STRANGER(name)                                                                                                 \
    __attribute__((visibility("default"))) void name(void);                                                            \
    void name(void)                                                                                                    \
    {                                                                                                                  \
        fputs("the host's own " #name " was called\n", stderr);                                                        \
        abort();                                                                                                       \
    }

STRANGERS(STRANGER)
