/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from outside: the first byte picks a file's text ('f'), NUL-separated names and values ('p'), or parts of a
 * store URL ('u'). Whatever comes: no memory error, every refusal gives a reason, and no URL shows its password. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/conf_impl.h"

#define SECRET "S3cr3t"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds)
{
    if (!holds)
        abort();
}

static void
silent(void *opaque, int level, const char *fac, const char *text)
{
    (void)opaque;
    (void)level;
    (void)fac;
    require(strlen(text) > 0);
}

static bool
each_kafka(void *opaque, const char *name, const char *value)
{
    (void)opaque;
    require(*name && value);
    return true;
}

static void
finish(struct jg_conf *conf)
{
    struct jg_error error = {.text = ""};
    struct jg_policy policy;
    struct jg_log log = {.level = JG_LOG_DEBUG, .sink = silent};
    if (jg_conf_finish(conf, &log, &error) != JG_OK)
        require(error.text[0] != '\0');
    jg_conf_policy(conf, "Mail", &policy);
    require(policy.dedup_ttl_ms >= 100);
    const struct jg_topic_spec *spec = jg_conf_topic(conf, "jobs");
    require(jg_conf_topic(conf, "jobs") == spec);
    if (spec)
        require(!jg_conf_is_idle(conf));
    require(jg_conf_settings(conf)->name_space != NULL);
    jg_conf_each_kafka(conf, each_kafka, NULL);
}

static void
try_file(const char *text, size_t bytes)
{
    struct jg_conf *conf = jg_conf_new();
    struct jg_error error = {.text = ""};
    require(conf != NULL);
    if (jg_conf_read_text("jobgate.conf", text, bytes, &conf->sources[JG_SOURCE_FILE], &error) == JG_OK)
        finish(conf);
    else
        require(strstr(error.text, "jobgate.conf") != NULL);
    jg_conf_destroy(conf);
}

/* `text` ends with a NUL. */
static void
try_properties(const char *text, size_t bytes)
{
    struct jg_conf *conf = jg_conf_new();
    require(conf != NULL);
    const char *end = text + bytes;
    while (text < end) {
        const char *name = text;
        const char *value = name + strlen(name) + 1;
        if (value >= end)
            break;
        struct jg_error error = {.text = ""};
        enum jg_err err = jg_conf_set(conf, name, value, &error);
        require(err == JG_OK || err == JG_EINVAL || err == JG_ENOENT);
        require((err == JG_EINVAL) == (error.text[0] != '\0'));
        require((err == JG_ENOENT) == (strncmp(name, "jobgate.", 8) != 0));
        text = value + strlen(value) + 1;
    }
    finish(conf);
    jg_conf_destroy(conf);
}

static void
try_url(const char *text)
{
    char url[4096];
    char out[4096];
    jg_conf_redact(text, out, sizeof out);
    require(strlen(out) <= strlen(text) + 8);
    snprintf(url, sizeof url, "redis://user:%.2000s" SECRET "@%.1000s", text, text);
    jg_conf_redact(url, out, sizeof out);
    require(!strstr(out, SECRET) || strstr(text, SECRET));
    snprintf(url, sizeof url, "redis://user:" SECRET "%.2000s@h", text);
    jg_conf_redact(url, out, sizeof out);
    require(!strstr(out, SECRET));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Files of others are not read from here. */
    if (size < 2 || size > 8192 || memmem(data, size, "config", 6) || memmem(data, size, "schema", 6))
        return 0;
    char *text = malloc(size);
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] == 'f')
        try_file(text, size - 1);
    else if (data[0] == 'p')
        try_properties(text, size);
    else if (data[0] == 'u')
        try_url(text);
    free(text);
    return 0;
}
