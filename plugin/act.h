/* SPDX-License-Identifier: Apache-2.0 */
/* Verdict -> effect: what can be done to a message that librdkafka shows us in passing. A hook cannot veto, so a
 * produce call is made to fail by an impossible partition, and a consumed message is turned into an error. */
#ifndef JG_PLUGIN_ACT_H
#define JG_PLUGIN_ACT_H

#include "plugin/gate.h"

/* Make the produce call fail. False: it cannot fail here alone (a batch call would leak the message, a transactional
 * producer would lose its whole transaction); nothing was changed. */
JG_MUST_USE bool jg_act_reject(struct jg_gate *gate, rd_kafka_message_t *rkmessage);

/* Why a message is not for the application. */
enum jg_skip { JG_SKIP_DUPLICATE, JG_SKIP_HELD, JG_SKIP_HOLDING_TOPIC, JG_SKIP_DONE, JG_SKIP_NOOP_JOB };

/* Keep the message from the application: it sees `jobgate.skip.error` instead, with a text that begins with
 * JOBGATE_SKIP_TEXT. */
void jg_act_skip(struct jg_gate *gate, rd_kafka_message_t *rkmessage, enum jg_skip why);

/* Keep the message from the application: it sees _STATE with `reason` instead (in Node, an error that
 * its clients survive). */
void jg_act_withhold(struct jg_gate *gate, rd_kafka_message_t *rkmessage, const char *reason);

/* The same, and the partition goes back to the message, so that it comes again. Not in a batch call: the seek would
 * purge what the call has gathered, for good, and the error itself. */
void jg_act_hold_back(struct jg_gate *gate, rd_kafka_message_t *rkmessage, const char *reason);

#endif
