/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of the demo's scenes. Each returns false when it did not come out as promised, which was said then. */
#ifndef JG_CLI_DEMO_STEPS_H
#define JG_CLI_DEMO_STEPS_H

#include "cli/demo.h"

/* The claim of the job's key as the store has it, when it can be asked. `owner` NULL: nobody claims the key. */
JG_MUST_USE bool jg_step_store_holds(struct jg_demo *demo, const struct jg_demo_job *job, enum jg_claim_state state,
                                     const struct jg_demo_job *owner);
/* Produced, and in its topic. */
JG_MUST_USE bool jg_step_delivered(struct jg_demo *demo, struct jg_demo_job *job);
/* Produced, and it stands for its key. */
JG_MUST_USE bool jg_step_accepted(struct jg_demo *demo, struct jg_demo_job *job);
/* Produced, and marked as a duplicate of `original`. */
JG_MUST_USE bool jg_step_dropped(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *original);
/* Its produce call fails. */
JG_MUST_USE bool jg_step_rejected(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *original);
/* The program is handed the job. */
JG_MUST_USE bool jg_step_starts(struct jg_demo *demo, struct jg_demo_job *job, const char *why);
/* It may not run yet, and is not lost. */
JG_MUST_USE bool jg_step_held(struct jg_demo *demo, struct jg_demo_job *job);
/* It was held, and starts. */
JG_MUST_USE bool jg_step_resumed(struct jg_demo *demo, struct jg_demo_job *job);
JG_MUST_USE bool jg_step_skipped(struct jg_demo *demo, struct jg_demo_job *job);
/* Its consumer polls again, and the store knows. */
JG_MUST_USE bool jg_step_ended(struct jg_demo *demo, struct jg_demo_job *job, const char *why);
/* `last` is at its end too: the broker has an offset past it. */
JG_MUST_USE bool jg_step_finished(struct jg_demo *demo, struct jg_demo_job *last, const char *why);
/* `job` will be the successor of `before`: its jid, key and payload are known before it comes. */
JG_MUST_USE bool jg_step_expect(struct jg_demo *demo, struct jg_demo_job *job, const struct jg_demo_job *before);

#endif
