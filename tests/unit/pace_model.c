/* SPDX-License-Identifier: Apache-2.0 */
#include "pace_model.h"

#include <math.h>
#include <stdlib.h>

#include "connectors/kafka/pace.h"
#include "connectors/store.h"

#define CONSUMERS_MOST 256
#define THREADS_MOST 128
#define ROOM 500           /* jobs in one transaction */
#define TAKE_MS 0.3        /* from a wake-up to tickets */
#define TRANSACTION_MS 5.0 /* and up to as much again */
#define JOB_IN_IT_MS 0.02
#define GAP_MS 0.4 /* between two messages of a consumer */
#define HOLD_MS 1.0
/* resume.wait.ms=auto: a job that finds no slot waits as long as a run takes, when that is not too long, and asks so
 * often. */
#define WAIT_LEAST_MS 50.0
#define WAIT_MOST_MS 1000.0
#define ASKS 100
#define ASK_LEAST_MS 2.0
#define POLL_MS 1000
#define NEVER INFINITY

/* In a partition: jobs of the class that were resumed, and runs of others' jobs. */
struct entry {
    struct entry *next;
    int64_t taken_ms;
    int others; /* 0: one of the class */
};

struct consumer {
    double due;
    bool works, waits;
    double waits_since;
    struct entry *first, **last;
};

struct model {
    uint64_t random;
    struct model_world world;
    double now;
    struct consumer consumers[CONSUMERS_MOST];
    double threads[THREADS_MOST]; /* when the jobs that were handed to them end; `running` of them are in use */
    double ran_ms;                /* a run, on the average */
    int running, tickets;
    int64_t completed, missed, started, waited_ms, idle;
    struct jg_pace pace;
    double resumer_due;
    int64_t taken_ms;   /* when the tickets of its transaction were given */
    int in_transaction; /* jobs that come up when it ends; negative: none is open */
    bool woken, again;
    double overlap_sum, ahead_sum, ahead_most;
};

static double
chance(struct model *model)
{
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(model->random >> 11) / 9007199254740992.0;
}

static int64_t
clock_of(const struct model *model)
{
    return (int64_t)model->now + INT64_C(1700000000000);
}

static int64_t
ahead_of(const struct model *model)
{
    return model->world.fixed_ahead >= 0 ? (int64_t)model->world.fixed_ahead : jg_pace_ahead(&model->pace);
}

static void
append(struct consumer *consumer, int others, int64_t taken_ms)
{
    struct entry *entry = malloc(sizeof *entry);
    if (!entry)
        abort();
    *entry = (struct entry){.others = others, .taken_ms = taken_ms};
    *consumer->last = entry;
    consumer->last = &entry->next;
}

static void
pop(struct consumer *consumer)
{
    struct entry *first = consumer->first;
    consumer->first = first->next;
    if (!consumer->first)
        consumer->last = &consumer->first;
    free(first);
}

/* One more of the others' jobs at the end. */
static void
refill(struct consumer *consumer)
{
    struct entry *last = consumer->first;
    while (last && last->next)
        last = last->next;
    if (last && last->others)
        last->others++;
    else
        append(consumer, 1, 0);
}

static void
wake(struct model *model)
{
    model->woken = true;
    if (model->in_transaction < 0 && model->resumer_due > model->now + TAKE_MS)
        model->resumer_due = model->now + TAKE_MS;
}

static void
start(struct model *model, struct consumer *consumer)
{
    const struct model_world *world = &model->world;
    bool is_long = chance(model) < world->long_share;
    double run_ms = (is_long ? world->long_job_ms : world->job_ms) * (0.9 + 0.2 * chance(model));
    double end = model->now + run_ms;
    model->ran_ms += (run_ms - model->ran_ms) / 4;
    consumer->works = !world->pooled;
    consumer->waits = false;
    consumer->due = world->pooled ? model->now + GAP_MS : end;
    if (world->pooled)
        model->threads[model->running] = end;
    model->running++;
    model->tickets--;
    model->started++;
    model->waited_ms += clock_of(model) - consumer->first->taken_ms;
    model->idle += clock_of(model) % JG_IDLE_CYCLE_MS;
    pop(consumer);
}

static double
most(double a, double b)
{
    return a > b ? a : b;
}

static double
wait_of(const struct model *model)
{
    return model->ran_ms > WAIT_MOST_MS ? WAIT_LEAST_MS : most(WAIT_LEAST_MS, model->ran_ms);
}

/* A ticketed job asks. */
static void
ask(struct model *model, struct consumer *consumer)
{
    if (model->running < model->world.limit) {
        start(model, consumer);
        return;
    }
    if (!consumer->waits) {
        consumer->waits = true;
        consumer->waits_since = model->now;
    }
    if (model->now - consumer->waits_since < wait_of(model)) {
        consumer->due = model->now + most(ASK_LEAST_MS, wait_of(model) / ASKS);
        return;
    }
    consumer->waits = false;
    model->missed++;
    model->tickets--;
    consumer->due = model->now + HOLD_MS;
    pop(consumer);
    wake(model);
}

static void
end(struct model *model)
{
    model->running--;
    model->completed++;
    model->idle -= clock_of(model) % JG_IDLE_CYCLE_MS;
    wake(model);
}

static void
go_on(struct model *model, struct consumer *consumer)
{
    if (consumer->works) {
        consumer->works = false;
        consumer->due = model->now + GAP_MS;
        end(model);
        return;
    }
    if (!consumer->first) {
        consumer->due = NEVER;
    } else if (consumer->first->others) {
        consumer->due = model->now + model->world.other_ms;
        if (--consumer->first->others == 0)
            pop(consumer);
        refill(consumer);
    } else {
        ask(model, consumer);
    }
}

static void
commit(struct model *model)
{
    for (; model->in_transaction > 0; model->in_transaction--) {
        struct consumer *consumer = &model->consumers[(int)(chance(model) * model->world.consumers)];
        append(consumer, 0, model->taken_ms);
        if (consumer->due == NEVER)
            consumer->due = model->now + GAP_MS;
    }
    model->in_transaction = -1;
    model->resumer_due = model->woken || model->again ? model->now + TAKE_MS : model->now + POLL_MS;
}

static void
take(struct model *model)
{
    int64_t free = model->world.limit - model->running;
    int64_t most = (free > 0 ? free : 0) + ahead_of(model) - model->tickets;
    int granted = most < 0 ? 0 : most > ROOM ? ROOM : (int)most;
    model->woken = false;
    model->again = granted == ROOM;
    model->tickets += granted;
    struct jg_pace_look look = {
        .now_ms = clock_of(model),
        .limit = model->world.limit,
        .running = model->running,
        .tickets = model->tickets,
        .granted = granted,
        .held = 1000000,
        .completed = model->completed,
        .missed = model->missed,
        .waited_ms = model->waited_ms,
        .idle = model->idle,
    };
    jg_pace_see(&model->pace, &look);
    if (granted) {
        model->in_transaction = granted;
        model->taken_ms = clock_of(model);
        model->resumer_due = model->now + TRANSACTION_MS * (1 + chance(model)) + JOB_IN_IT_MS * granted;
    } else {
        model->resumer_due = model->now + TAKE_MS + (double)jg_pace_due_ms(&model->pace, POLL_MS);
    }
}

/* Time goes on, and nothing happens. */
static void
pass(struct model *model, double at)
{
    double ahead = (double)ahead_of(model);
    model->overlap_sum += model->running * (at - model->now);
    model->ahead_sum += ahead * (at - model->now);
    model->ahead_most = ahead > model->ahead_most ? ahead : model->ahead_most;
    model->now = at;
}

/* Does the next thing that happens, if it does before `until`. */
static bool
step(struct model *model, double until)
{
    struct consumer *consumer = NULL;
    double due = model->resumer_due, *thread = NULL;
    for (int i = 0; i < model->world.consumers; i++) {
        if (model->consumers[i].due < due) {
            consumer = &model->consumers[i];
            due = consumer->due;
        }
    }
    for (int i = 0; model->world.pooled && i < model->running; i++) {
        if (model->threads[i] < due) {
            thread = &model->threads[i];
            due = *thread;
        }
    }
    pass(model, due < until ? due : until);
    if (due > until)
        return false;
    if (thread) {
        *thread = model->threads[model->running - 1];
        end(model);
    } else if (consumer) {
        go_on(model, consumer);
    } else if (model->in_transaction >= 0) {
        commit(model);
    } else {
        take(model);
    }
    return true;
}

struct model_found
model_run(struct model *model, double ms)
{
    double until = model->now + ms;
    struct model_found before = {.starts = model->started, .missed = model->missed};
    model->overlap_sum = model->ahead_sum = model->ahead_most = 0;
    while (step(model, until))
        ;
    return (struct model_found){
        .overlap = model->overlap_sum / ms,
        .ahead = model->ahead_sum / ms,
        .ahead_most = model->ahead_most,
        .starts = model->started - before.starts,
        .missed = model->missed - before.missed,
    };
}

/* Others' jobs come, or are gone, all at once. */
static void
set_backlog(struct model *model)
{
    int each = model->world.backlog / model->world.consumers;
    for (int i = 0; i < model->world.consumers; i++) {
        struct consumer *consumer = &model->consumers[i];
        struct entry **link = &consumer->first;
        while (*link) {
            struct entry *entry = *link;
            if (!entry->others) {
                link = &entry->next;
                continue;
            }
            *link = entry->next;
            free(entry);
        }
        consumer->last = link;
        if (each)
            append(consumer, each, 0);
        if (consumer->first && consumer->due == NEVER)
            consumer->due = model->now;
    }
}

void
model_set(struct model *model, const struct model_world *world)
{
    bool other = world->backlog != model->world.backlog;
    model->world = *world;
    if (other)
        set_backlog(model);
}

struct model *
model_new(uint64_t seed, const struct model_world *world)
{
    struct model *model = calloc(1, sizeof *model);
    if (!model)
        abort();
    model->random = seed;
    model->world = *world;
    model->in_transaction = -1;
    for (int i = 0; i < CONSUMERS_MOST; i++)
        model->consumers[i] = (struct consumer){.due = NEVER, .last = &model->consumers[i].first};
    set_backlog(model);
    return model;
}

const struct jg_pace *
model_pace(const struct model *model)
{
    return &model->pace;
}

void
model_destroy(struct model *model)
{
    for (int i = 0; i < CONSUMERS_MOST; i++)
        while (model->consumers[i].first)
            pop(&model->consumers[i]);
    free(model);
}
