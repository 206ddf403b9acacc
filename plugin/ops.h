/* SPDX-License-Identifier: Apache-2.0 */
/* Store operations that a class's settings go into, ready to be carried out. They borrow their texts. Pure. */
#ifndef JG_PLUGIN_OPS_H
#define JG_PLUGIN_OPS_H

#include "connectors/store.h"
#include "plugin/policy.h"
#include "plugin/stamp.h"

/* What `instance`'s settings say of a class, and the override as it last saw it. */
struct jg_op jg_op_sync(const char *class_name, const char *instance, const struct jg_policy *policy,
                        const struct jg_override *seen);
/* The job goes to <topic>.dead. */
struct jg_op jg_op_bury(const struct jg_stamp *stamp, const struct jg_policy *policy);

#endif
