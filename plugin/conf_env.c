/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from the environment: JOBGATE_STORE for jobgate.store, JOBGATE_DEFAULT_DEDUP for jobgate.default.dedup. An
 * empty variable counts as unset. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/conf_impl.h"

#define ENV_PREFIX "JOBGATE_"

static const struct jg_setting *
row_of_variable(const char *name)
{
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        char candidate[128];
        if (jg_setting_env_name(&jg_setting_table[i], candidate, sizeof candidate) && strcmp(candidate, name) == 0)
            return &jg_setting_table[i];
    }
    return NULL;
}

static void
remember_unknown(struct jg_conf *conf, const char *name)
{
    char shown[96];
    char near[128];
    jg_conf_shown(name, shown, sizeof shown);
    jg_buf_format(&conf->unknown_env, "%s%s", conf->unknown_env.size_bytes ? ", " : "", shown);
    if (jg_setting_near_env(name, near, sizeof near))
        jg_buf_format(&conf->unknown_env, " (did you mean %s?)", near);
}

/* `variable` is NAME=VALUE. */
static enum jg_err
load_variable(struct jg_conf *conf, struct jg_entries *entries, const char *variable, struct jg_error *error)
{
    const char *equals = strchr(variable, '=');
    if (!equals || strncmp(variable, ENV_PREFIX, strlen(ENV_PREFIX)) != 0)
        return JG_OK;
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)(equals - variable), variable);
    const char *value = equals + 1;
    const struct jg_setting *row = row_of_variable(name);
    if (!row) {
        remember_unknown(conf, name);
        return JG_OK;
    }
    if (*value == '\0' || row == jg_setting_of(JG_LEVEL_GLOBAL, "config"))
        return JG_OK;
    enum jg_err err = jg_setting_check(row, name, value, error);
    if (err != JG_OK)
        return err;
    struct jg_setting_name resolved = {.row = row};
    err = jg_entries_append(entries, &resolved, value);
    if (err != JG_OK)
        snprintf(error->text, sizeof error->text, "%s: out of memory", name);
    return err;
}

static enum jg_err
load_named_file(struct jg_conf *conf, struct jg_error *error)
{
    const char *path = getenv(ENV_PREFIX "CONFIG");
    if (!path || *path == '\0' || conf->client_named_file)
        return JG_OK;
    struct jg_entries entries = {.list = NULL};
    enum jg_err err = jg_setting_check(jg_setting_of(JG_LEVEL_GLOBAL, "config"), ENV_PREFIX "CONFIG", path, error);
    if (err == JG_OK)
        err = jg_conf_read_file(path, &entries, error);
    if (err != JG_OK)
        return err;
    jg_entries_clear(&conf->sources[JG_SOURCE_FILE]);
    conf->sources[JG_SOURCE_FILE] = entries;
    return JG_OK;
}

enum jg_err
jg_conf_load_env(struct jg_conf *conf, struct jg_error *error)
{
    struct jg_entries entries = {.list = NULL};
    jg_buf_reset(&conf->unknown_env);
    enum jg_err err = load_named_file(conf, error);
    for (char **variable = environ; err == JG_OK && variable && *variable; variable++)
        err = load_variable(conf, &entries, *variable, error);
    if (err != JG_OK) {
        jg_entries_clear(&entries);
        return err;
    }
    jg_entries_clear(&conf->sources[JG_SOURCE_ENV]);
    conf->sources[JG_SOURCE_ENV] = entries;
    return JG_OK;
}
