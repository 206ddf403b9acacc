/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's scenes of jobs that wait. False: something did not come out as promised. */
#ifndef JG_CLI_DEMO_WAITING_H
#define JG_CLI_DEMO_WAITING_H

#include "cli/demo.h"

JG_MUST_USE bool jg_demo_tenants(struct jg_demo *demo);
JG_MUST_USE bool jg_demo_ahead(struct jg_demo *demo);
JG_MUST_USE bool jg_demo_slots(struct jg_demo *demo);
JG_MUST_USE bool jg_demo_follow_up(struct jg_demo *demo);
/* The one that ran, once it has. */
const struct jg_demo_job *jg_demo_follow_up_job(void);

#endif
