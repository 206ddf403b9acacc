/* SPDX-License-Identifier: Apache-2.0 */
/* The policy of each class that is named in the settings, and of all others. */
#include "plugin/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/conf_impl.h"
#include "plugin/selector.h"

static int
compare_classes(const void *left, const void *right)
{
    return strcmp(((const struct jg_class *)left)->name, ((const struct jg_class *)right)->name);
}

/* The provisional time must end within the claim's own. One that nobody set gives way. */
static enum jg_err
check_times(const struct jg_conf *conf, const struct jg_section *section, struct jg_policy *policy,
            struct jg_error *error)
{
    if (policy->dedup_provisional_ms <= policy->dedup_ttl_ms)
        return JG_OK;
    const struct jg_setting *row = jg_setting_of(JG_LEVEL_CLASS, "dedup.provisional.ms");
    size_t index = jg_setting_index(row);
    bool is_own = section && section->values[index];
    if (!is_own && !conf->general.values[index]) {
        policy->dedup_provisional_ms = policy->dedup_ttl_ms;
        return JG_OK;
    }
    char full[JG_CLASS_MAX_BYTES + 64];
    char shown[160];
    char class_name[160] = "";
    jg_setting_full_name(row, is_own ? section->name : NULL, full, sizeof full);
    jg_conf_shown(full, shown, sizeof shown);
    if (section)
        jg_conf_shown(section->name, class_name, sizeof class_name);
    snprintf(error->text, sizeof error->text,
             "%s (%lld) is longer than dedup.ttl.ms (%lld)%s%s: lower it, or raise dedup.ttl.ms", shown,
             (long long)policy->dedup_provisional_ms, (long long)policy->dedup_ttl_ms, section ? " of class " : "",
             class_name);
    return JG_EINVAL;
}

/* Does the settings' own section of the class, or any for all classes, say slots where no class has a capacity? */
static bool
has_idle_slots(const struct jg_conf *conf, const struct jg_section *section, const struct jg_policy *policy)
{
    size_t load = jg_setting_index(jg_setting_of(JG_LEVEL_CLASS, "capacity.load"));
    size_t capacity = jg_setting_index(jg_setting_of(JG_LEVEL_CLASS, "capacity"));
    const struct jg_sections *sections = &conf->sections[JG_LEVEL_CLASS];
    const char *value = section ? section->values[load] : conf->general.values[load];
    if (policy->capacity != 0 || !value || strcmp(value, JG_SLOTS) != 0)
        return false;
    for (size_t i = 0; !section && i < sections->count; i++)
        if (sections->list[i].values[capacity])
            return false;
    return true;
}

/* Follow-ups come after a job's end, so its claim has to last as long. What is set for all classes is for those that
 * have that. */
static enum jg_err
check_follow_up(const struct jg_conf *conf, const struct jg_section *section, struct jg_policy *policy,
                struct jg_error *error)
{
    const struct jg_setting *row = jg_setting_of(JG_LEVEL_CLASS, "dedup.follow.up");
    const struct jg_setting *dedup = jg_setting_of(JG_LEVEL_CLASS, "dedup");
    const struct jg_sections *sections = &conf->sections[JG_LEVEL_CLASS];
    char full[JG_CLASS_MAX_BYTES + 64], shown[160];
    bool meant = !section || section->values[jg_setting_index(row)];
    if (!policy->dedup_follow_up || policy->dedup == JG_DEDUP_UNTIL_EXECUTED)
        return JG_OK;
    for (size_t i = 0; !section && i < sections->count; i++)
        meant = meant && !sections->list[i].values[jg_setting_index(dedup)];
    policy->dedup_follow_up = false;
    if (!meant)
        return JG_OK;
    jg_setting_full_name(row, section ? section->name : NULL, full, sizeof full);
    jg_conf_shown(full, shown, sizeof shown);
    snprintf(error->text, sizeof error->text,
             "%s is true, but dedup is %s: set dedup=until_executed, so that a job's claim lasts until its end", shown,
             jg_dedup_name(policy->dedup));
    return JG_EINVAL;
}

/* A capacity means nothing without a load, and slots nothing without a capacity. */
static enum jg_err
check_capacity(const struct jg_conf *conf, const struct jg_section *section, const struct jg_policy *policy,
               struct jg_error *error)
{
    char full[JG_CLASS_MAX_BYTES + 64];
    char shown[160];
    if (has_idle_slots(conf, section, policy)) {
        jg_setting_full_name(jg_setting_of(JG_LEVEL_CLASS, "capacity.load"), section ? section->name : NULL, full,
                             sizeof full);
        jg_conf_shown(full, shown, sizeof shown);
        snprintf(error->text, sizeof error->text,
                 "%s is slots, but capacity is not set: set it to how many slots there are (above 0)", shown);
        return JG_EINVAL;
    }
    if (policy->capacity == 0 || policy->capacity_load)
        return JG_OK;
    jg_setting_full_name(jg_setting_of(JG_LEVEL_CLASS, "capacity"), section ? section->name : NULL, full, sizeof full);
    jg_conf_shown(full, shown, sizeof shown);
    snprintf(error->text, sizeof error->text,
             "%s is set, but capacity.load is not: set it to redis:<key>, which the application keeps at the load, "
             "or to slots",
             shown);
    return JG_EINVAL;
}

/* A selector of jobs' keys, compiled; and none may be half set. */
static enum jg_err
build_limit_key(const struct jg_conf *conf, const struct jg_section *section, struct jg_policy *policy,
                struct jg_error *error)
{
    const struct jg_setting *key_row = jg_setting_of(JG_LEVEL_CLASS, "limit.key");
    const struct jg_setting *per_key_row = jg_setting_of(JG_LEVEL_CLASS, "limit.per.key");
    const char *value = jg_section_value(conf, section, key_row);
    size_t key_index = jg_setting_index(key_row), per_key_index = jg_setting_index(per_key_row);
    struct jg_selector *selector = NULL;
    struct jg_error reason = {.text = ""};
    char full[JG_CLASS_MAX_BYTES + 64], shown[160];
    if (!value && (!section || !section->values[per_key_index]))
        return JG_OK;
    bool is_own = section && section->values[value ? key_index : per_key_index];
    jg_setting_full_name(value ? key_row : per_key_row, is_own ? section->name : NULL, full, sizeof full);
    jg_conf_shown(full, shown, sizeof shown);
    if (!value) {
        snprintf(error->text, sizeof error->text,
                 "%s is set, but limit.key is not: set it to what the jobs are told apart by, such as "
                 "field:args.0.tenant or header:tenant",
                 shown);
        return JG_EINVAL;
    }
    enum jg_err err = jg_selector_parse(value, &selector, &reason);
    if (err != JG_OK)
        snprintf(error->text, sizeof error->text, "%s: %.300s", shown, reason.text);
    policy->limit_key = selector;
    return err;
}

/* Where no payload has fields, a selector of one would find nothing in any job. */
static enum jg_err
check_limit_key(const struct jg_conf *conf, const struct jg_section *section, const struct jg_policy *policy,
                struct jg_error *error)
{
    char full[JG_CLASS_MAX_BYTES + 64], shown[160];
    const struct jg_setting *row = jg_setting_of(JG_LEVEL_CLASS, "limit.key");
    if (!policy->limit_key || policy->limit_key->kind != JG_SELECT_FIELD || !jg_conf_all_topics_are_raw(conf))
        return JG_OK;
    bool is_own = section && section->values[jg_setting_index(row)];
    jg_setting_full_name(row, is_own ? section->name : NULL, full, sizeof full);
    jg_conf_shown(full, shown, sizeof shown);
    snprintf(
        error->text, sizeof error->text,
        "%s '%.200s': no topic of jobgate.topics has fields: set its format to json or avro, or use header:NAME or "
        "key",
        shown, policy->limit_key->text);
    return JG_EINVAL;
}

static enum jg_err
build_policy(const struct jg_conf *conf, const struct jg_section *section, struct jg_policy *out,
             struct jg_error *error)
{
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        if (jg_setting_table[i].level == JG_LEVEL_CLASS && jg_setting_table[i].type != JG_TYPE_SELECTOR)
            jg_setting_put(&jg_setting_table[i], jg_section_value(conf, section, &jg_setting_table[i]), out);
    }
    enum jg_err err = build_limit_key(conf, section, out, error);
    if (err == JG_OK)
        err = check_limit_key(conf, section, out, error);
    if (err == JG_OK)
        err = check_times(conf, section, out, error);
    if (err == JG_OK)
        err = check_follow_up(conf, section, out, error);
    return err ? err : check_capacity(conf, section, out, error);
}

enum jg_err
jg_conf_build_policies(struct jg_conf *conf, struct jg_error *error)
{
    const struct jg_sections *sections = &conf->sections[JG_LEVEL_CLASS];
    enum jg_err err = build_policy(conf, NULL, &conf->default_policy, error);
    if (err != JG_OK || sections->count == 0)
        return err;
    conf->classes = calloc(sections->count, sizeof *conf->classes);
    if (!conf->classes) {
        snprintf(error->text, sizeof error->text, "jobgate.class.*: out of memory");
        return JG_ENOMEM;
    }
    for (size_t i = 0; err == JG_OK && i < sections->count; i++) {
        conf->classes[i].name = sections->list[i].name;
        err = build_policy(conf, &sections->list[i], &conf->classes[i].policy, error);
        conf->class_count = i + 1;
    }
    return err;
}

static void
clear_policy(struct jg_policy *policy)
{
    jg_selector_destroy((struct jg_selector *)(uintptr_t)policy->limit_key);
    policy->limit_key = NULL;
}

void
jg_conf_clear_policies(struct jg_conf *conf)
{
    clear_policy(&conf->default_policy);
    for (size_t i = 0; i < conf->class_count; i++)
        clear_policy(&conf->classes[i].policy);
    free(conf->classes);
    conf->classes = NULL;
    conf->class_count = 0;
}

void
jg_conf_policy(const struct jg_conf *conf, const char *class_name, struct jg_policy *out)
{
    struct jg_class wanted = {.name = class_name};
    const struct jg_class *found = NULL;
    if (conf->class_count > 0)
        found = bsearch(&wanted, conf->classes, conf->class_count, sizeof wanted, compare_classes);
    *out = found ? found->policy : conf->default_policy;
}

void
jg_conf_each_gated(const struct jg_conf *conf, void (*each)(void *opaque, const char *class_name), void *opaque)
{
    for (size_t i = 0; i < conf->class_count; i++)
        if (jg_policy_gates(&conf->classes[i].policy) || conf->classes[i].policy.dedup_follow_up)
            each(opaque, conf->classes[i].name);
}

bool
jg_conf_has_gate(const struct jg_conf *conf)
{
    bool found = jg_policy_gates(&conf->default_policy);
    for (size_t i = 0; !found && i < conf->class_count; i++)
        found = jg_policy_gates(&conf->classes[i].policy);
    return found;
}

/* The setting of a policy by which the end of jobs has to be seen; NULL: none. */
static const char *
end_setting(const struct jg_policy *policy)
{
    if (policy->dedup == JG_DEDUP_UNTIL_EXECUTED)
        return "dedup";
    return policy->limit                    ? "limit"
           : policy->limit_key              ? "limit.key"
           : policy->lease != JG_LEASE_NONE ? "lease"
           : policy->capacity               ? "capacity"
                                            : NULL;
}

static const char *
capacity_setting(const struct jg_policy *policy)
{
    return policy->capacity ? "capacity" : NULL;
}

const char *
jg_conf_first_setting(const struct jg_conf *conf, const char *(*pick)(const struct jg_policy *policy), char *out,
                      size_t out_bytes)
{
    const char *class_name = NULL;
    const char *setting = pick(&conf->default_policy);
    for (size_t i = 0; !setting && i < conf->class_count; i++) {
        class_name = conf->classes[i].name;
        setting = pick(&conf->classes[i].policy);
    }
    if (!setting)
        return NULL;
    char full[JG_CLASS_MAX_BYTES + 64];
    jg_setting_full_name(jg_setting_of(JG_LEVEL_CLASS, setting), class_name, full, sizeof full);
    jg_conf_shown(full, out, out_bytes);
    return out;
}

const char *
jg_conf_some_capacity(const struct jg_conf *conf, char *out, size_t out_bytes)
{
    return jg_conf_first_setting(conf, capacity_setting, out, out_bytes);
}

const char *
jg_conf_needs_end(const struct jg_conf *conf, char *out, size_t out_bytes)
{
    return jg_conf_first_setting(conf, end_setting, out, out_bytes);
}

int64_t
jg_conf_grace_ms(const struct jg_conf *conf, const struct jg_policy *policy)
{
    return conf->settings.store_grace_ms ? conf->settings.store_grace_ms : jg_policy_run_ttl_ms(policy) / 3 + 2000;
}
