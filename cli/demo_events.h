/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JG_CLI_DEMO_EVENTS_H
#define JG_CLI_DEMO_EVENTS_H

#include "cli/demo.h"

/* The demo's last scene: the events of the follow-up. False: something did not come out as promised. */
JG_MUST_USE bool jg_demo_events(struct jg_demo *demo);

#endif
