/* SPDX-License-Identifier: Apache-2.0 */
/* The resumer's life: it stands by until there are holding topics and nobody else leads. */
#include "connectors/kafka/resumer.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "connectors/kafka/holding.h"
#include "connectors/kafka/resumer_impl.h"
#include "plugin/counters.h"

#define LEASE_MS 3000
#define LOOK_EVERY_MS 60000 /* a consumer that never held: are there holding topics that nobody serves? */
#define STAND_MOST_MS 3000
#define STAND_LEAST_MS 100
#define LOOK_AGAIN_MS 3000
#define TROUBLE_PAUSE_MS 300
#define TROUBLE_MOST_MS 10000
#define BRIEF_MS 20000

void
jg_resumer_complain(struct jg_resumer *resumer, const char *fmt, ...)
{
    char text[sizeof resumer->state.trouble];
    va_list arguments;
    va_start(arguments, fmt);
    vsnprintf(text, sizeof text, fmt, arguments);
    va_end(arguments);
    jg_count(JG_COUNT_HOLD_FAILURE, 1);
    pthread_mutex_lock(&resumer->lock);
    memcpy(resumer->state.trouble, text, sizeof text);
    pthread_mutex_unlock(&resumer->lock);
    jg_log_rated(resumer->options.log, &resumer->rate, JG_LOG_ERROR, "RESUME", "held jobs of group %s: %s",
                 resumer->options.group, text);
}

bool
jg_resumer_elect(struct jg_resumer *resumer, int64_t *left_ms)
{
    struct jg_op op = {
        .kind = JG_OP_LEAD,
        .class_name = resumer->options.group,
        .member = resumer->options.instance,
        .run_ttl_ms = LEASE_MS,
    };
    *left_ms = -1;
    if (jg_store_exec(resumer->options.store, &op, 1) != JG_OK)
        return false;
    *left_ms = op.left_ms;
    if (op.changed) {
        resumer->led_ms = jg_clock_ms();
        if (op.generation != resumer->generation)
            atomic_store(&resumer->look, true);
        resumer->generation = op.generation;
    }
    return op.changed;
}

static void
leave(struct jg_resumer *resumer)
{
    struct jg_op op = {
        .kind = JG_OP_LEAD,
        .class_name = resumer->options.group,
        .member = resumer->options.instance,
        .run_ttl_ms = LEASE_MS,
        .leave = true,
    };
    (void)!jg_store_exec(resumer->options.store, &op, 1); /* else the lease runs out */
}

bool
jg_resumer_rest(struct jg_resumer *resumer, int64_t timeout_ms)
{
    struct pollfd fds[2] = {{.fd = resumer->wake_fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    bool woken = false;
    uint64_t count;
    if (resumer->watch)
        fds[1].fd = jg_watch_fd(resumer->watch);
    if (poll(fds, 2, timeout_ms > 0 ? (int)timeout_ms : 0) <= 0)
        return false;
    if (fds[0].revents)
        (void)!read(resumer->wake_fd, &count, sizeof count);
    if (fds[1].revents && jg_watch_read(resumer->watch, &woken) != JG_OK) {
        jg_watch_close(resumer->watch);
        resumer->watch = NULL;
        woken = true;
    }
    return woken;
}

static void
match_holding(void *opaque, const char *name, const struct jg_own_topic *topic)
{
    void **context = opaque;
    char origin[JG_TOPIC_MAX_BYTES + 1];
    (void)topic;
    if (jg_holding_parse(name, origin, sizeof origin) && jg_conf_topic(context[0], origin))
        *(bool *)context[1] = true;
}

/* Inside a consumer: is there anything to serve? Not asked on the host's own handle, which answers nothing any more
 * once it is being closed. */
static bool
has_topics(struct jg_resumer *resumer, bool *failed)
{
    static const char *const settings[] = {NULL};
    struct jg_error error;
    bool found = false;
    void *context[2] = {(void *)(uintptr_t)resumer->options.conf, &found};
    rd_kafka_t *scout = jg_own_client(&resumer->own, RD_KAFKA_PRODUCER, settings, NULL, NULL, &error);
    *failed = !scout || jg_own_topics(&resumer->own, scout, match_holding, context, &error) != JG_OK;
    if (*failed)
        jg_resumer_complain(resumer, "%s", error.text);
    jg_own_close(&resumer->own, scout);
    return found;
}

/* Until it leads, or is to stop. */
static void
stand(struct jg_resumer *resumer)
{
    int64_t look_ms = 0, left_ms;
    bool stands = resumer->options.external;
    while (!atomic_load(&resumer->stopping)) {
        int64_t now_ms = jg_clock_ms();
        if (atomic_load(&resumer->look))
            stands = true; /* a holding topic was made */
        if (!stands && now_ms >= look_ms) {
            bool failed = false;
            stands = has_topics(resumer, &failed);
            look_ms = now_ms + (failed ? LOOK_AGAIN_MS : LOOK_EVERY_MS);
        }
        if (stands && jg_resumer_elect(resumer, &left_ms))
            return;
        int64_t pause_ms = stands ? left_ms : look_ms - now_ms;
        if (stands && (pause_ms > STAND_MOST_MS || pause_ms < 0))
            pause_ms = pause_ms < 0 ? STAND_MOST_MS / 3 : STAND_MOST_MS;
        (void)jg_resumer_rest(resumer, pause_ms < STAND_LEAST_MS ? STAND_LEAST_MS : pause_ms);
    }
}

/* Whatever gives notice meanwhile: two that fence each other must not do so at once again. */
static void
take_a_break(struct jg_resumer *resumer, int64_t pause_ms)
{
    int64_t until_ms = jg_clock_ms() + pause_ms, left_ms;
    while (!atomic_load(&resumer->stopping) && (left_ms = until_ms - jg_clock_ms()) > 0)
        (void)jg_resumer_rest(resumer, left_ms);
}

static void
say_leads(struct jg_resumer *resumer, bool leads)
{
    pthread_mutex_lock(&resumer->lock);
    resumer->state.leads = leads;
    resumer->state.caught_up = false;
    pthread_mutex_unlock(&resumer->lock);
    jg_log(resumer->options.log, JG_LOG_INFO, "RESUME", "group %s: this resumer %s", resumer->options.group,
           leads ? "leads" : "stands by");
}

static void *
work(void *opaque)
{
    struct jg_resumer *resumer = opaque;
    int64_t pause_ms = TROUBLE_PAUSE_MS;
    while (!atomic_load(&resumer->stopping)) {
        stand(resumer);
        if (atomic_load(&resumer->stopping))
            break;
        int64_t began_ms = jg_clock_ms();
        say_leads(resumer, true);
        jg_resumer_lead(resumer);
        say_leads(resumer, false);
        jg_resumer_forget_notes(resumer);
        bool brief = jg_clock_ms() - began_ms < BRIEF_MS;
        pause_ms = brief && pause_ms < TROUBLE_MOST_MS ? pause_ms * 2 : TROUBLE_PAUSE_MS;
        if (atomic_load(&resumer->stopping))
            break;
        if (brief)
            leave(resumer); /* another one may be luckier */
        take_a_break(resumer, pause_ms);
    }
    leave(resumer);
    while (!atomic_load(&resumer->joined)) /* an ended thread that nobody joins would be a leak of the host's */
        (void)jg_resumer_rest(resumer, JG_RESUME_ASK_MS);
    return NULL;
}

static void
free_all(struct jg_resumer *resumer)
{
    if (resumer->own.base)
        resumer->own.rdk->conf_destroy(resumer->own.base);
    if (resumer->wake_fd >= 0)
        close(resumer->wake_fd);
    pthread_mutex_destroy(&resumer->lock);
    free(resumer->group);
    free(resumer->identity);
    free(resumer->notes);
    free(resumer);
}

static enum jg_err
prepare(struct jg_resumer *resumer, struct jg_error *error)
{
    const struct jg_resumer_options *options = &resumer->options;
    struct jg_buf group = JG_BUF_INIT, identity = JG_BUF_INIT;
    jg_buf_format(&group, "%s.jobgate", options->group);
    jg_buf_format(&identity, "jobgate.%s.%s", jg_conf_settings(options->conf)->name_space, options->group);
    resumer->group = group.data;
    resumer->identity = identity.data;
    resumer->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    snprintf(error->text, sizeof error->text, "jobgate cannot start its resumer");
    if (group.failed || identity.failed || resumer->wake_fd < 0)
        return JG_ENOMEM;
    return jg_own_base(options->rdk, options->base_conf, options->conf, &resumer->own.base, error);
}

enum jg_err
jg_resumer_start(const struct jg_resumer_options *options, struct jg_resumer **out, struct jg_error *error)
{
    struct jg_resumer *resumer = calloc(1, sizeof *resumer);
    snprintf(error->text, sizeof error->text, "out of memory");
    if (!resumer)
        return JG_ENOMEM;
    resumer->options = *options;
    resumer->own = (struct jg_own){.rdk = options->rdk, .log = options->log, .until_ms = &resumer->until_ms};
    resumer->wake_fd = -1;
    pthread_mutex_init(&resumer->lock, NULL);
    enum jg_err err = prepare(resumer, error);
    if (!err)
        err = jg_thread_start(&resumer->thread, work, resumer) ? JG_ENOMEM : JG_OK;
    if (err)
        free_all(resumer);
    else
        *out = resumer;
    return err;
}

static void
wake(struct jg_resumer *resumer)
{
    uint64_t one = 1;
    (void)!write(resumer->wake_fd, &one, sizeof one);
}

void
jg_resumer_notice(struct jg_resumer *resumer)
{
    if (!atomic_exchange(&resumer->look, true))
        wake(resumer);
}

void
jg_resumer_quit(struct jg_resumer *resumer)
{
    int64_t nobody_did = 0;
    (void)atomic_compare_exchange_strong(&resumer->until_ms, &nobody_did, jg_clock_ms() + JG_OWN_CALL_MS);
    atomic_store(&resumer->stopping, true);
    wake(resumer);
}

bool
jg_resumer_stop(struct jg_resumer *resumer, int64_t deadline_ms)
{
    jg_resumer_quit(resumer);
    atomic_store(&resumer->joined, true);
    wake(resumer);
    if (!jg_thread_join(resumer->thread, deadline_ms))
        return false;
    free_all(resumer);
    return true;
}

void
jg_resumer_state(struct jg_resumer *resumer, struct jg_resumer_state *out)
{
    pthread_mutex_lock(&resumer->lock);
    *out = resumer->state;
    pthread_mutex_unlock(&resumer->lock);
}
