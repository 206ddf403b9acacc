/* SPDX-License-Identifier: Apache-2.0 */
/* To keep all slots busy, limit / run_ms jobs have to start each ms, and each is on its way for lead_ms: that many
 * tickets have to be out, whatever the way is made of, the transaction or seconds of other jobs in the origin topic.
 * Both times are measured, the first also while most slots are idle, so that a slot that waits for a long backlog is no
 * riddle. What this leaves out, chance, is learned: more while slots stand idle, less when ticketed jobs find none. */
#include "connectors/kafka/pace.h"

#define STEP_VAIN 1.5     /* so much more has to bring more starts ... */
#define GAIN_LEAST 0.2    /* ... by this part of what is idle */
#define TICK_MS 100       /* the least time over which something is measured */
#define TURN_MOST_MS 5000 /* a decision is made once per lead_ms, but no less often */
#define TURN_STARTS 2     /* times the limit: with fewer starts it takes longer ... */
#define TURN_FEW_MS 2000  /* ... but no longer than that */
#define EARLY_MS 10       /* so much before a slot is free its job may come up: less than a job waits there */
#define STEP_MOST 32      /* a raise is by no larger a factor */
#define IDLE_FINE 0.015   /* of the slots */
#define IDLE_MANY 0.5
#define IDLE_OTHER 0.2    /* more: what was learned of another time does not count */
#define MISS_LEAST_MS 50  /* of a consumer's time; by resume.wait.ms=auto it is that of a run, but no less ... */
#define MISS_MOST_MS 1000 /* ... and of longer runs no more than that either */
#define MISSES_WORTH 0.2  /* of the time that runs take may go to misses ... */
#define MISSES_LEAST 0.05 /* ... but so many misses a start are fine in any case ... */
#define MISSES_MOST 1.0   /* ... and so many are too many */
#define RUSH 1.1          /* tickets go out by no more than so many times what slots take, and what may miss */
#define SOON_MS 10        /* while that stands in the way */
#define LESS 0.98         /* a turn, while nothing is idle: does it go with less? */
#define CALM_LEAST_MS 2000
#define CALM_MOST_MS 20000
#define DUE_MS 50

static double
least(double a, double b)
{
    return a < b ? a : b;
}

static double
most(double a, double b)
{
    return a > b ? a : b;
}

/* --- measured --- */

/* How long slots stood idle between two looks. */
static double
idle_between(const struct jg_pace_look *from, const struct jg_pace_look *to)
{
    double span_ms = (double)(to->now_ms - from->now_ms), limit = (double)to->limit;
    double free_then = limit - (double)from->running, free_now = limit - (double)to->running;
    double now_ms = (double)(to->now_ms % JG_IDLE_CYCLE_MS);
    double idle_ms = free_then * span_ms + (free_now - free_then) * now_ms + (double)(to->idle - from->idle);
    /* A run was lost, or the cycle began anew: then the sum says nothing. */
    if (idle_ms > span_ms * limit || idle_ms < -span_ms * (double)(from->running + to->running))
        idle_ms = free_then * span_ms;
    return most(idle_ms, 0);
}

static void
add(struct jg_pace_sum *sum, const struct jg_pace_sum *more)
{
    sum->span_ms += more->span_ms;
    sum->idle_ms += more->idle_ms;
    sum->bound_ms += more->bound_ms;
    sum->waited_ms += more->waited_ms;
    sum->starts += more->starts;
    sum->completed += more->completed;
    sum->missed += more->missed;
}

/* Few events say little of an average, and many all. */
static double
blend(double known, double found, int64_t events, double limit)
{
    double weight = (double)events / ((double)events + limit / 2);
    return known > 0 ? known + (found - known) * weight : found;
}

static void
learn(struct jg_pace *pace)
{
    const struct jg_pace_sum *tick = &pace->tick;
    double limit = (double)pace->last.limit;
    pace->busy_ms += limit * tick->span_ms - tick->idle_ms;
    pace->silent_ms += tick->span_ms;
    /* While nothing ends, those that run have run for so long at least; likewise what is on its way. */
    if (tick->completed > 0) {
        pace->run_ms = blend(pace->run_ms, pace->busy_ms / (double)tick->completed, tick->completed, limit);
        pace->busy_ms = 0;
    } else if (pace->run_ms > 0) {
        pace->run_ms = most(pace->run_ms, pace->busy_ms / limit);
    }
    if (tick->starts > 0) {
        pace->lead_ms = blend(pace->lead_ms, tick->waited_ms / (double)tick->starts, tick->starts, limit);
        pace->silent_ms = 0;
    } else if (tick->bound_ms > 0 && pace->last.running < pace->last.limit) {
        pace->lead_ms = most(pace->lead_ms, pace->silent_ms);
    }
}

/* --- decided --- */

/* Tickets on their way when all slots are busy, and jobs come up so much before they find one. 0: not known. */
static double
needed(const struct jg_pace *pace, double early_ms)
{
    return pace->run_ms > 0 ? (double)pace->last.limit * (pace->lead_ms + early_ms) / pace->run_ms : 0;
}

static void
set(struct jg_pace *pace, double ahead)
{
    double more = most(0, ahead - pace->ahead);
    pace->ahead = ahead > 0.5 ? least(ahead, JG_PACE_MOST) : 0;
    if (pace->pending <= 0)
        pace->pending = pace->last.tickets + (int64_t)more;
}

static void
raise(struct jg_pace *pace, double wanted)
{
    set(pace, least(wanted, STEP_MOST * most(pace->ahead, (double)pace->last.limit)));
}

/* Is it no time like the one whose starts are known? */
static bool
is_other(const struct jg_pace *pace, double idle)
{
    return pace->tried_rate < 0 || idle > pace->tried_idle + IDLE_OTHER || idle < pace->tried_idle - IDLE_OTHER;
}

/* Are so many tickets out that they have to show in the starts? */
static bool
is_trial(const struct jg_pace *pace)
{
    return pace->ahead >= STEP_VAIN * pace->tried + 1;
}

/* More tickets start no more jobs where consumers are fewer than slots, or where what is idle is the moment between two
 * jobs of a slot; they stand in the way of other classes then. True: it is back at what did as well. */
static bool
is_in_vain(struct jg_pace *pace, const struct jg_pace_sum *turn, double idle)
{
    double rate = (double)turn->starts / turn->span_ms;
    bool other = is_other(pace, idle);
    bool more = is_trial(pace);
    if (!other && more && rate < pace->tried_rate * (1 + GAIN_LEAST * idle)) {
        set(pace, pace->tried);
        pace->calm_ms = pace->calm_next_ms;
        pace->calm_idle = idle + IDLE_OTHER;
        pace->calm_next_ms = least(2 * pace->calm_next_ms, CALM_MOST_MS);
        return true;
    }
    if (other || more || pace->ahead <= pace->tried) {
        pace->tried = pace->ahead;
        pace->tried_rate = rate;
        pace->tried_idle = idle;
    }
    return false;
}

/* Misses that are fine, a start. */
static double
fine_misses(const struct jg_pace *pace)
{
    double miss_ms = pace->run_ms > MISS_MOST_MS ? MISS_LEAST_MS : most(MISS_LEAST_MS, pace->run_ms);
    return most(MISSES_LEAST, least(MISSES_MOST, MISSES_WORTH * pace->run_ms / miss_ms));
}

static void
end_turn(struct jg_pace *pace)
{
    const struct jg_pace_sum turn = pace->turn;
    double idle = turn.idle_ms / (turn.span_ms * (double)pace->last.limit);
    double fine = (double)turn.starts * fine_misses(pace);
    double missed = (double)turn.missed / most(1, (double)(turn.missed + turn.starts));
    double over = ((double)turn.missed - fine) / most(1, (double)(turn.missed + turn.starts));
    bool settled = pace->pending <= 0;
    pace->turn = (struct jg_pace_sum){.span_ms = 0};
    if (over > 0) {
        if (settled || over > 0.5)
            set(pace, pace->ahead * most(0.5, 1 - over));
    } else if (idle > IDLE_FINE) {
        double wanted = needed(pace, EARLY_MS);
        bool bound = turn.bound_ms > turn.span_ms / 2;
        bool calm = pace->calm_ms > 0 && idle < pace->calm_idle;
        if (!bound || calm || (settled && is_in_vain(pace, &turn, idle)))
            return;
        if (!settled && !is_other(pace, idle) && is_trial(pace))
            return;
        if (wanted > pace->ahead)
            raise(pace, wanted);
        else if (settled && needed(pace, 0) >= 1)
            raise(pace, pace->ahead * (1 + idle) + 1);
    } else {
        pace->calm_next_ms = CALM_LEAST_MS;
        pace->tried_rate = -1;
        if (settled && idle < IDLE_FINE / 3)
            pace->ahead *= least(LESS, 1 - missed / 4);
    }
}

static void
end_tick(struct jg_pace *pace)
{
    const struct jg_pace_sum tick = pace->tick;
    double limit = (double)pace->last.limit;
    learn(pace);
    add(&pace->turn, &tick);
    pace->tick = (struct jg_pace_sum){.span_ms = 0};
    pace->pending -= tick.starts + tick.missed;
    pace->calm_ms = most(0, pace->calm_ms - tick.span_ms);
    double idle = tick.idle_ms / (limit * tick.span_ms);
    bool nothing_comes = !tick.starts && idle > IDLE_MANY && tick.bound_ms > tick.span_ms / 2;
    bool calm = pace->calm_ms > 0 && idle < pace->calm_idle;
    bool few = pace->turn.starts < TURN_STARTS * pace->last.limit && pace->turn.span_ms < TURN_FEW_MS;
    bool brief = pace->turn.span_ms < least(pace->lead_ms, TURN_MOST_MS);
    if (!brief && (!few || tick.missed > tick.starts))
        end_turn(pace);
    else if (nothing_comes && !tick.missed && !calm && needed(pace, 0) > pace->ahead)
        raise(pace, needed(pace, 0)); /* as many follow as would have started meanwhile */
}

/* What goes out in one burst comes up in one, where slots cannot take it: so not all tickets go out at once. */
static void
earn_tokens(struct jg_pace *pace, double span_ms, int64_t granted)
{
    double limit = (double)pace->last.limit;
    double rate = pace->run_ms > 0 ? (RUSH + fine_misses(pace)) * limit / pace->run_ms : 0;
    double purse = most(limit, 2 * SOON_MS * rate);
    pace->tokens = least(purse, most(0, pace->tokens - (double)granted) + rate * span_ms);
}

void
jg_pace_see(struct jg_pace *pace, const struct jg_pace_look *look)
{
    const struct jg_pace_look last = pace->last;
    int64_t last_ahead = pace->last_ahead;
    pace->last_ahead = jg_pace_ahead(pace);
    bool goes_on = pace->seen && look->limit > 0 && look->limit == last.limit && last.held > 0 &&
                   look->now_ms >= last.now_ms && look->completed >= last.completed && look->missed >= last.missed &&
                   look->waited_ms >= last.waited_ms;
    if (!pace->seen) {
        pace->tried_rate = -1;
        pace->calm_next_ms = CALM_LEAST_MS;
    }
    pace->seen = true;
    pace->last = *look;
    if (!goes_on) { /* nothing waited, or what is measured changed: what was learned stays */
        pace->tick = pace->turn = (struct jg_pace_sum){.span_ms = 0};
        pace->busy_ms = pace->silent_ms = 0;
        return;
    }
    earn_tokens(pace, (double)(look->now_ms - last.now_ms), look->granted);
    int64_t free = look->limit > last.running ? look->limit - last.running : 0;
    int64_t starts = look->completed - last.completed + look->running - last.running;
    double span_ms = (double)(look->now_ms - last.now_ms);
    struct jg_pace_sum seen = {
        .span_ms = span_ms,
        .idle_ms = idle_between(&last, look),
        .bound_ms = last.tickets >= free + last_ahead ? span_ms : 0,
        .waited_ms = (double)(look->waited_ms - last.waited_ms),
        .starts = starts > 0 ? starts : 0,
        .completed = look->completed - last.completed,
        .missed = look->missed - last.missed,
    };
    add(&pace->tick, &seen);
    if (pace->tick.span_ms >= TICK_MS)
        end_tick(pace);
}

int64_t
jg_pace_ahead(const struct jg_pace *pace)
{
    const struct jg_pace_look *last = &pace->last;
    if (pace->run_ms <= 0)
        return 0;
    int64_t free = last->limit > last->running ? last->limit - last->running : 0;
    double bound = (double)(last->tickets - free) + pace->tokens;
    return (int64_t)most(0, least(pace->ahead, bound));
}

int64_t
jg_pace_due_ms(const struct jg_pace *pace, int64_t most_ms)
{
    const struct jg_pace_look *last = &pace->last;
    if (!pace->seen || last->held <= 0 || last->limit <= 0 || most_ms < DUE_MS)
        return most_ms;
    if (last->tickets < (int64_t)pace->ahead)
        return SOON_MS;
    return last->limit > last->running ? DUE_MS : most_ms;
}

void
jg_pace_take(struct jg_pace *pace, const struct jg_op *op)
{
    struct jg_pace_look look = {
        .now_ms = op->now_ms,
        .limit = op->limit_now,
        .running = op->running,
        .tickets = op->tickets,
        .granted = op->granted,
        .held = op->held_in - op->granted,
        .completed = op->completed_now,
        .missed = op->missed_now,
        .waited_ms = op->waited_now_ms,
        .idle = op->idle_now,
    };
    if (op->ahead_now == JG_AUTO)
        jg_pace_see(pace, &look);
    else
        *pace = (struct jg_pace){.seen = false};
}
