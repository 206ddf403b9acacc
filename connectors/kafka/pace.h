/* SPDX-License-Identifier: Apache-2.0 */
/* resume.ahead=auto: how many tickets of a class are to be out beyond its free slots, so that a slot that becomes free
 * finds a job there. Pure logic: what the leading resumer sees at each take goes in, time is part of it. */
#ifndef JG_CONNECTORS_KAFKA_PACE_H
#define JG_CONNECTORS_KAFKA_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/store.h"

#define JG_PACE_MOST 10000 /* tickets beyond the free slots */

/* What a take answers, all of one moment, after its tickets were given. */
struct jg_pace_look {
    int64_t now_ms; /* the store's time */
    int64_t limit;  /* that counts; not positive: none, or paused */
    int64_t running, tickets;
    int64_t granted;           /* of the tickets; by this take */
    int64_t held;              /* not counting what just got a ticket; not positive: none, or not known */
    int64_t completed, missed; /* by the store's counters; missed: ticketed jobs that found no slot, and were held */
    int64_t waited_ms;         /* by the store's sum: of jobs that started, from the ticket to the start */
    int64_t idle;              /* see jg_op.idle_now */
};

/* What is measured over some time. */
struct jg_pace_sum {
    double span_ms;
    double idle_ms;  /* of slots */
    double bound_ms; /* the part of span_ms in which nothing but `ahead` stood in the way of more tickets */
    double waited_ms;
    int64_t starts, completed, missed;
};

/* Zeroed at first. */
struct jg_pace {
    bool seen; /* `last` is there */
    struct jg_pace_look last;
    int64_t last_ahead; /* by which its tickets were given */
    double ahead;
    double tokens;           /* so many tickets may go out now */
    double run_ms;           /* how long a run has its slot, on the average; 0: not known */
    double lead_ms;          /* likewise from a ticket to the start */
    double busy_ms;          /* of slots, since a run ended */
    double silent_ms;        /* since a run started */
    struct jg_pace_sum tick; /* since something was learned last */
    struct jg_pace_sum turn; /* since something was decided last */
    int64_t pending;         /* so many tickets come up before the last decision shows */
    double calm_ms;          /* no raise before so much time has passed, unless more than calm_idle of the slots idle */
    double calm_next_ms, calm_idle;
    double tried, tried_rate; /* the least `ahead` that brought so many starts per ms; negative: none is known ... */
    double tried_idle;        /* ... while such a part of the slots was idle */
};

/* Take in what was seen. */
void jg_pace_see(struct jg_pace *pace, const struct jg_pace_look *look);
/* What the next take is told. */
int64_t jg_pace_ahead(const struct jg_pace *pace);
/* When to look again, if nothing wakes the resumer before; else `most_ms`. */
int64_t jg_pace_due_ms(const struct jg_pace *pace, int64_t most_ms);
/* Take in what a TAKE answered. */
void jg_pace_take(struct jg_pace *pace, const struct jg_op *op);

#endif
