/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that registers interceptors. librdkafka calls conf_init when `plugin.library.paths` names us, then the
 * functions below; every one of them only finds the gate and enters it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "plugin/counters.h"
#include "plugin/gate.h"
#include "plugin/jobgate.h"
#include "plugin/process.h"

#define PLUGIN "jobgate"
#define EXPORT __attribute__((visibility("default")))

/* What belongs to one configuration object. librdkafka moves it into the handle that it creates from it. */
struct plugin {
    const struct jg_rdk *rdk;
    struct jg_conf *conf;
    struct jg_error refused; /* by jg_conf_finish */
    bool finished;
    struct jg_gate *gate; /* NULL: no handle yet, or nothing to do for it */
};

/* --- a handle's messages --- */

static rd_kafka_resp_err_t
on_send(rd_kafka_t *rk, rd_kafka_message_t *rkmessage, void *opaque)
{
    struct jg_gate *gate = opaque;
    (void)rk;
    if (gate->generation != jg_process_generation())
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    if (jg_gate_governs(gate, rkmessage))
        jg_gate_send(gate, rkmessage, jg_clock_ms());
    else
        jg_gate_send_untouched(gate);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
on_acknowledgement(rd_kafka_t *rk, rd_kafka_message_t *rkmessage, void *opaque)
{
    struct jg_gate *gate = opaque;
    (void)rk;
    /* Most programs' messages have no claim: then not even the clock is read. */
    if (atomic_load(&gate->unacked_count) && gate->generation == jg_process_generation())
        jg_gate_acknowledged(gate, rkmessage, jg_clock_ms());
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
on_consume(rd_kafka_t *rk, rd_kafka_message_t *rkmessage, void *opaque)
{
    struct jg_gate *gate = opaque;
    (void)rk;
    if (rkmessage->err || !rkmessage->rkt || gate->generation != jg_process_generation())
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    if (jg_gate_governs(gate, rkmessage))
        jg_gate_consume(gate, rkmessage, jg_clock_ms());
    else
        jg_gate_consume_untouched(gate, rkmessage);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
on_commit(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets, rd_kafka_resp_err_t err, void *opaque)
{
    struct jg_gate *gate = opaque;
    (void)rk;
    if (gate->generation == jg_process_generation())
        jg_gate_committed(gate, offsets, err, jg_clock_ms());
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
on_request_sent(rd_kafka_t *rk, int sockfd, const char *broker, int32_t broker_id, int16_t api_key, int16_t api_version,
                int32_t correlation_id, size_t size, void *opaque)
{
    struct jg_gate *gate = opaque;
    (void)rk;
    (void)sockfd;
    (void)broker;
    (void)broker_id;
    (void)api_version;
    (void)correlation_id;
    (void)size;
    if (gate->generation == jg_process_generation())
        jg_callbackless_sent(gate, api_key);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
on_destroy(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    jg_gate_stop(opaque);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* --- a handle is made --- */

static rd_kafka_resp_err_t
hook(const struct jg_rdk *rdk, rd_kafka_t *rk, struct jg_gate *gate)
{
    rd_kafka_resp_err_t err = rdk->interceptor_add_on_destroy(rk, PLUGIN, on_destroy, gate);
    if (!err && gate->client.producer) {
        err = rdk->interceptor_add_on_send(rk, PLUGIN, on_send, gate);
        if (!err)
            err = rdk->interceptor_add_on_acknowledgement(rk, PLUGIN, on_acknowledgement, gate);
    }
    if (!err && gate->client.consumer) {
        err = rdk->interceptor_add_on_consume(rk, PLUGIN, on_consume, gate);
        if (!err)
            err = rdk->interceptor_add_on_commit(rk, PLUGIN, on_commit, gate);
        if (!err && gate->client.events)
            err = rdk->interceptor_add_on_request_sent(rk, PLUGIN, on_request_sent, gate);
    }
    return err;
}

static rd_kafka_resp_err_t
on_new(rd_kafka_t *rk, const rd_kafka_conf_t *rk_conf, void *opaque, char *errstr, size_t errstr_size)
{
    struct plugin *plugin = opaque;
    struct jg_error error = {.text = "its jobgate settings are not valid"};
    if (!plugin->finished && jg_conf_finish(plugin->conf, NULL, &error) != JG_OK)
        plugin->refused = error;
    plugin->finished = true;
    if (plugin->gate)
        (void)jg_gate_destroy(plugin->gate); /* of an earlier attempt that failed after on_new */
    /* It is the live configuration, declared const. */
    plugin->gate = jg_gate_new(plugin->rdk, rk, (rd_kafka_conf_t *)(uintptr_t)rk_conf, plugin->conf, &plugin->refused);
    rd_kafka_resp_err_t err = plugin->gate ? hook(plugin->rdk, rk, plugin->gate) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (err)
        snprintf(errstr, errstr_size, "jobgate cannot register with librdkafka: %s", plugin->rdk->err2str(err));
    return err;
}

/* --- a configuration is made --- */

static rd_kafka_conf_res_t
on_conf_set(rd_kafka_conf_t *rk_conf, const char *name, const char *value, char *errstr, size_t errstr_size,
            void *opaque)
{
    struct plugin *plugin = opaque;
    struct jg_error error = {.text = ""};
    (void)rk_conf;
    if (strncmp(name, PLUGIN ".", sizeof PLUGIN) != 0)
        return RD_KAFKA_CONF_UNKNOWN;
    if (!value) {
        snprintf(errstr, errstr_size, "%s needs a value", name);
        return RD_KAFKA_CONF_INVALID;
    }
    switch (jg_conf_set(plugin->conf, name, value, &error)) {
    case JG_OK:
        return RD_KAFKA_CONF_OK;
    case JG_ENOENT:
        return RD_KAFKA_CONF_UNKNOWN;
    default:
        snprintf(errstr, errstr_size, "%s", error.text);
        return RD_KAFKA_CONF_INVALID;
    }
}

static void
plugin_destroy(struct plugin *plugin)
{
    if (!plugin->gate || jg_gate_destroy(plugin->gate))
        jg_conf_destroy(plugin->conf);
    free(plugin);
}

static rd_kafka_resp_err_t
on_conf_destroy(void *opaque)
{
    plugin_destroy(opaque);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static enum jg_err
plugin_new(const struct jg_rdk *rdk, struct plugin **out, struct jg_error *error)
{
    struct plugin *plugin = calloc(1, sizeof *plugin);
    if (!plugin)
        return JG_ENOMEM;
    plugin->rdk = rdk;
    plugin->conf = jg_conf_new();
    enum jg_err err = plugin->conf ? jg_conf_load_env(plugin->conf, error) : JG_ENOMEM;
    if (err != JG_OK) {
        jg_conf_destroy(plugin->conf);
        free(plugin);
        return err;
    }
    *out = plugin;
    return JG_OK;
}

EXPORT rd_kafka_resp_err_t conf_init(rd_kafka_conf_t *rk_conf, void **plug_opaque, char *errstr, size_t errstr_size);

/* librdkafka's way in. Also called again for every copy of a configuration, whose properties are then replayed. */
EXPORT rd_kafka_resp_err_t
conf_init(rd_kafka_conf_t *rk_conf, void **plug_opaque, char *errstr, size_t errstr_size)
{
    const struct jg_rdk *rdk = NULL;
    struct plugin *plugin = NULL;
    struct jg_error error = {.text = "out of memory"};
    (void)plug_opaque;
    if (jg_rdk_of(__builtin_return_address(0), &rdk, &error) != JG_OK || plugin_new(rdk, &plugin, &error) != JG_OK) {
        snprintf(errstr, errstr_size, "%s", error.text);
        return RD_KAFKA_RESP_ERR__FAIL;
    }
    rd_kafka_resp_err_t err = rdk->conf_interceptor_add_on_conf_set(rk_conf, PLUGIN, on_conf_set, plugin);
    if (err) { /* __CONFLICT: the plugin is named twice, the first one serves */
        plugin_destroy(plugin);
        return err == RD_KAFKA_RESP_ERR__CONFLICT ? RD_KAFKA_RESP_ERR_NO_ERROR : err;
    }
    err = rdk->conf_interceptor_add_on_conf_destroy(rk_conf, PLUGIN, on_conf_destroy, plugin);
    if (!err)
        err = rdk->conf_interceptor_add_on_new(rk_conf, PLUGIN, on_new, plugin);
    if (err)
        snprintf(errstr, errstr_size, "jobgate cannot register with librdkafka: %s", rdk->err2str(err));
    return err;
}

/* --- the public C API --- */

EXPORT const char *
jobgate_version(void)
{
    return JOBGATE_VERSION;
}

EXPORT int64_t
jobgate_counter(const char *name)
{
    for (unsigned i = 0; i < JG_COUNTER_COUNT; i++)
        if (strcmp(jg_counter_name((enum jg_counter)i), name) == 0)
            return jg_counter_value((enum jg_counter)i);
    return -1;
}

EXPORT const char *
jobgate_counter_name(unsigned index)
{
    return index < JG_COUNTER_COUNT ? jg_counter_name((enum jg_counter)index) : NULL;
}
