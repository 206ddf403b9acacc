/* SPDX-License-Identifier: Apache-2.0 */
/* A model of what resume.ahead=auto governs: consumers with a partition each, slots, the resumer with its transactions,
 * and other classes' jobs in the origin topic. Of held jobs there is no end. Times are in ms. */
#ifndef JG_TESTS_UNIT_PACE_MODEL_H
#define JG_TESTS_UNIT_PACE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct jg_pace;
struct model; /* one run of it */

/* Set anew whenever it changes: model_set. */
struct model_world {
    int limit;
    int consumers;
    bool pooled;                /* each hands its jobs to threads, and goes on; else one after the other */
    double job_ms, long_job_ms; /* each as long as that ... */
    double long_share;          /* ... of which so many are long */
    double other_ms;            /* an other class's job */
    int backlog;                /* so many of those are in the origin topic, and remain: as one ends another comes */
    double fixed_ahead;         /* negative: auto */
};

/* What came of a stretch of time. */
struct model_found {
    double overlap;           /* mean number of jobs that ran at once */
    double ahead, ahead_most; /* mean, most */
    int64_t starts, missed;
};

struct model *model_new(uint64_t seed, const struct model_world *world);
void model_set(struct model *model, const struct model_world *world);
/* Go on for so long. */
struct model_found model_run(struct model *model, double ms);
const struct jg_pace *model_pace(const struct model *model);
void model_destroy(struct model *model);

#endif
