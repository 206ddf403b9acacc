/* SPDX-License-Identifier: Apache-2.0 */
/* The host's own librdkafka. The plugin never links one: a process may hold several copies, some under other names
 * and loaded privately, so every function is looked up in the copy that called us. */
#ifndef JG_PLUGIN_RDK_H
#define JG_PLUGIN_RDK_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define JG_RDK_FUNCTIONS(X)                                                                                            \
    X(version)                                                                                                         \
    X(conf_dup_filter)                                                                                                 \
    X(conf_dup)                                                                                                        \
    X(conf_destroy)                                                                                                    \
    X(conf_set_opaque)                                                                                                 \
    X(conf_set_log_cb)                                                                                                 \
    X(conf_set_dr_msg_cb)                                                                                              \
    X(new)                                                                                                             \
    X(destroy_flags)                                                                                                   \
    X(poll)                                                                                                            \
    X(flush)                                                                                                           \
    X(purge)                                                                                                           \
    X(produceva)                                                                                                       \
    X(headers_copy)                                                                                                    \
    X(opaque)                                                                                                          \
    X(fatal_error)                                                                                                     \
    X(init_transactions)                                                                                               \
    X(begin_transaction)                                                                                               \
    X(commit_transaction)                                                                                              \
    X(abort_transaction)                                                                                               \
    X(send_offsets_to_transaction)                                                                                     \
    X(consumer_group_metadata)                                                                                         \
    X(consumer_group_metadata_destroy)                                                                                 \
    X(error_code)                                                                                                      \
    X(error_string)                                                                                                    \
    X(error_is_fatal)                                                                                                  \
    X(error_txn_requires_abort)                                                                                        \
    X(committed)                                                                                                       \
    X(metadata)                                                                                                        \
    X(metadata_destroy)                                                                                                \
    X(get_watermark_offsets)                                                                                           \
    X(queue_get_main)                                                                                                  \
    X(queue_get_partition)                                                                                             \
    X(queue_forward)                                                                                                   \
    X(queue_io_event_enable)                                                                                           \
    X(consume_queue)                                                                                                   \
    X(consumer_poll)                                                                                                   \
    X(message_destroy)                                                                                                 \
    X(message_timestamp)                                                                                               \
    X(type)                                                                                                            \
    X(log_print)                                                                                                       \
    X(name)                                                                                                            \
    X(err2str)                                                                                                         \
    X(conf_get)                                                                                                        \
    X(conf_set)                                                                                                        \
    X(conf_set_rebalance_cb)                                                                                           \
    X(conf_interceptor_add_on_conf_set)                                                                                \
    X(conf_interceptor_add_on_conf_destroy)                                                                            \
    X(conf_interceptor_add_on_new)                                                                                     \
    X(interceptor_add_on_send)                                                                                         \
    X(interceptor_add_on_acknowledgement)                                                                              \
    X(interceptor_add_on_consume)                                                                                      \
    X(interceptor_add_on_commit)                                                                                       \
    X(interceptor_add_on_request_sent)                                                                                 \
    X(interceptor_add_on_destroy)                                                                                      \
    X(topic_name)                                                                                                      \
    X(message_status)                                                                                                  \
    X(message_headers)                                                                                                 \
    X(message_set_headers)                                                                                             \
    X(headers_new)                                                                                                     \
    X(headers_destroy)                                                                                                 \
    X(header_add)                                                                                                      \
    X(header_remove)                                                                                                   \
    X(header_get_all)                                                                                                  \
    X(header_get_last)                                                                                                 \
    X(assign)                                                                                                          \
    X(incremental_assign)                                                                                              \
    X(incremental_unassign)                                                                                            \
    X(assignment)                                                                                                      \
    X(rebalance_protocol)                                                                                              \
    X(error_destroy)                                                                                                   \
    X(queue_new)                                                                                                       \
    X(queue_get_consumer)                                                                                              \
    X(queue_length)                                                                                                    \
    X(queue_poll)                                                                                                      \
    X(queue_destroy)                                                                                                   \
    X(commit_queue)                                                                                                    \
    X(seek)                                                                                                            \
    X(offset_store)                                                                                                    \
    X(offsets_store)                                                                                                   \
    X(topic_partition_list_new)                                                                                        \
    X(topic_partition_list_add)                                                                                        \
    X(topic_partition_list_destroy)                                                                                    \
    X(event_error)                                                                                                     \
    X(event_error_string)                                                                                              \
    X(event_destroy)

/* Topics and their settings. They lie in a part of librdkafka that linkers leave out of programs without need of it. */
#define JG_RDK_ADMIN_FUNCTIONS(X)                                                                                      \
    X(NewTopic_new)                                                                                                    \
    X(NewTopic_set_config)                                                                                             \
    X(NewTopic_destroy)                                                                                                \
    X(CreateTopics)                                                                                                    \
    X(event_CreateTopics_result)                                                                                       \
    X(CreateTopics_result_topics)                                                                                      \
    X(topic_result_error)                                                                                              \
    X(topic_result_error_string)                                                                                       \
    X(DeleteRecords)                                                                                                   \
    X(DeleteRecords_new)                                                                                               \
    X(DeleteRecords_destroy)                                                                                           \
    X(ListConsumerGroupOffsets)                                                                                        \
    X(ListConsumerGroupOffsets_new)                                                                                    \
    X(ListConsumerGroupOffsets_destroy)                                                                                \
    X(event_ListConsumerGroupOffsets_result)                                                                           \
    X(ListConsumerGroupOffsets_result_groups)                                                                          \
    X(group_result_partitions)                                                                                         \
    X(group_result_error)                                                                                              \
    X(ConfigResource_new)                                                                                              \
    X(ConfigResource_destroy)                                                                                          \
    X(ConfigResource_name)                                                                                             \
    X(ConfigResource_error)                                                                                            \
    X(ConfigResource_error_string)                                                                                     \
    X(ConfigResource_configs)                                                                                          \
    X(ConfigEntry_name)                                                                                                \
    X(ConfigEntry_value)                                                                                               \
    X(DescribeConfigs)                                                                                                 \
    X(event_DescribeConfigs_result)                                                                                    \
    X(DescribeConfigs_result_resources)

/* Functions of the host in which a hook may find itself (see jg_rdk_within). */
enum jg_rdk_frame {
    JG_FRAME_PRODUCE_BATCH,
    JG_FRAME_CONSUME_BATCH_QUEUE,
    JG_FRAME_CONSUME_BATCH,
    JG_FRAME_CONSUMER_CLOSE,
    JG_FRAME_EVENT_MESSAGE_NEXT,
    JG_FRAMES
};

/* One copy of librdkafka: rd_kafka_NAME is `rdk->NAME`. Lives as long as the process. */
struct jg_rdk {
#define JG_RDK_FIELD(name) __typeof__(rd_kafka_##name) *name;
    JG_RDK_FUNCTIONS(JG_RDK_FIELD)
    JG_RDK_ADMIN_FUNCTIONS(JG_RDK_FIELD)
#undef JG_RDK_FIELD
    const char *no_admin; /* the first of JG_RDK_ADMIN_FUNCTIONS that is not there; NULL: they all are */
    struct {
        uintptr_t begin, end; /* code addresses; 0, 0: not known */
    } frames[JG_FRAMES];
    const void *base; /* where that copy is mapped */
};

/* The copy of librdkafka that holds the code at `caller`. Thread: any. Never frees or unloads what it found.
 * JG_EHOST: `error` says what is missing and what to do. */
JG_MUST_USE enum jg_err jg_rdk_of(const void *caller, const struct jg_rdk **out, struct jg_error *error);

/* True when the calling thread is inside that function of the host (by unwinding the stack: 1 to 2 us). */
bool jg_rdk_within(const struct jg_rdk *rdk, enum jg_rdk_frame frame);

/* By which kind of call the host takes the message at hand: one at a time, many at once, or as an event. */
enum jg_rdk_call { JG_CALL_ONE, JG_CALL_BATCH, JG_CALL_EVENT };

/* Thread: inside on_consume. Unwinds the stack once, like jg_rdk_within. */
enum jg_rdk_call jg_rdk_consume_call(const struct jg_rdk *rdk);

/* The value of a resource's setting; NULL: it has none of that name. Borrowed from the resource. */
const char *jg_rdk_config_value(const struct jg_rdk *rdk, const rd_kafka_ConfigResource_t *resource, const char *name);

#endif
