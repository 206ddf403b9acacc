/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody may have meant by a name that is no setting. */
#include <stdio.h>
#include <string.h>

#include "plugin/conf_table.h"

#define DISTANCE_MAX_BYTES 255 /* longer names are not compared */
#define NEAR 2                 /* so few edits are a mistyping */
#define SECTION_DOTS 5         /* no setting's name has more dots, mistyped ones included */

static size_t
min_of(size_t left, size_t right)
{
    return left < right ? left : right;
}

size_t
jg_edit_distance(const char *left, const char *right)
{
    size_t left_bytes = strlen(left);
    size_t right_bytes = strlen(right);
    if (left_bytes > DISTANCE_MAX_BYTES || right_bytes > DISTANCE_MAX_BYTES)
        return SIZE_MAX;
    /* Rows i-2, i-1 and i of the matrix of distances between prefixes. */
    size_t rows[3][DISTANCE_MAX_BYTES + 1];
    for (size_t j = 0; j <= right_bytes; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= left_bytes; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= right_bytes; j++) {
            row[j] = min_of(above[j], row[j - 1]) + 1;
            row[j] = min_of(row[j], above[j - 1] + (left[i - 1] != right[j - 1]));
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                row[j] = min_of(row[j], above2[j - 2] + 1);
        }
    }
    return rows[left_bytes % 3][right_bytes];
}

struct nearest {
    const char *typed; /* without `jobgate.` */
    size_t distance;
    char name[512]; /* the full name */
};

static void
consider(struct nearest *nearest, const struct jg_setting *row, const char *section)
{
    char name[sizeof nearest->name];
    jg_setting_full_name(row, section, name, sizeof name);
    size_t distance = jg_edit_distance(nearest->typed, name + strlen(JG_CONF_PREFIX));
    if (distance < nearest->distance) {
        nearest->distance = distance;
        memcpy(nearest->name, name, sizeof name);
    }
}

/* Where the topic or class ends and the setting begins cannot be known in a mistyped name: try every dot near its end,
 * and the end. */
static void
consider_sections(struct nearest *nearest, const struct jg_setting *row)
{
    char section[DISTANCE_MAX_BYTES + 1];
    const char *first_dot = strchr(nearest->typed, '.');
    if (!first_dot || !first_dot[1])
        return;
    snprintf(section, sizeof section, "%s", first_dot + 1);
    for (int dots = 0; dots <= SECTION_DOTS && *section; dots++) {
        consider(nearest, row, section);
        char *dot = strrchr(section, '.');
        if (!dot)
            break;
        *dot = '\0';
    }
}

/* The setting that ends the name, though not as that level's: the name has the right word in the wrong place. */
static const struct jg_setting *
misplaced(const char *name)
{
    const struct jg_setting *found = NULL;
    size_t name_bytes = strlen(name);
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        const struct jg_setting *row = &jg_setting_table[i];
        size_t bytes = strlen(row->name);
        if (bytes > name_bytes || strcmp(name + name_bytes - bytes, row->name) != 0)
            continue;
        if (bytes < name_bytes && name[name_bytes - bytes - 1] != '.')
            continue;
        if (!found || strlen(found->name) < bytes)
            found = row;
    }
    return found;
}

static void
say_misplaced(const char *shown, const struct jg_setting *row, struct jg_error *error)
{
    char name[128];
    jg_setting_full_name(row, NULL, name, sizeof name);
    switch (row->level) {
    case JG_LEVEL_TOPIC:
        snprintf(error->text, sizeof error->text,
                 "%s: no such setting; '%s' belongs to topics: %s for all, jobgate.topic.<topic>.%s for one", shown,
                 row->name, name, row->name);
        break;
    case JG_LEVEL_CLASS:
        snprintf(error->text, sizeof error->text,
                 "%s: no such setting; '%s' belongs to classes: %s for all, jobgate.class.<class>.%s for one", shown,
                 row->name, name, row->name);
        break;
    case JG_LEVEL_ENV:
        jg_setting_env_name(row, name, sizeof name);
        snprintf(error->text, sizeof error->text, "%s: no such setting; it is an environment variable only: %s", shown,
                 name);
        break;
    default:
        snprintf(error->text, sizeof error->text, "%s: no such setting; did you mean %s?", shown, name);
    }
}

static void
find_nearest(struct nearest *nearest)
{
    if (strlen(nearest->typed) > DISTANCE_MAX_BYTES)
        return;
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        const struct jg_setting *row = &jg_setting_table[i];
        if (row->level != JG_LEVEL_ENV && row->level != JG_LEVEL_KAFKA)
            consider(nearest, row, NULL);
    }
    bool has_section = strncmp(nearest->typed, "topic.", 6) == 0 || strncmp(nearest->typed, "class.", 6) == 0;
    if (has_section && nearest->distance > NEAR)
        nearest->distance = SIZE_MAX; /* whoever names a topic or a class means one of its settings */
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        const struct jg_setting *row = &jg_setting_table[i];
        if (row->level == JG_LEVEL_TOPIC || row->level == JG_LEVEL_CLASS)
            consider_sections(nearest, row);
    }
}

void
jg_setting_unknown(const char *name, struct jg_error *error)
{
    struct nearest nearest = {.typed = name, .distance = SIZE_MAX};
    find_nearest(&nearest);
    char shown[160];
    char suggestion[160];
    char full[sizeof nearest.name];
    snprintf(full, sizeof full, JG_CONF_PREFIX "%s", name);
    jg_conf_shown(full, shown, sizeof shown);
    jg_conf_shown(nearest.name, suggestion, sizeof suggestion);
    const struct jg_setting *row = misplaced(name);
    if (row && nearest.distance > NEAR)
        say_misplaced(shown, row, error);
    else if (nearest.distance != SIZE_MAX)
        snprintf(error->text, sizeof error->text,
                 "%s: no such setting; did you mean %s? (`jobgate settings` lists all)", shown, suggestion);
    else
        snprintf(error->text, sizeof error->text, "%s: no such setting (`jobgate settings` lists all)", shown);
}

bool
jg_setting_near_env(const char *name, char *out, size_t out_bytes)
{
    size_t nearest = NEAR + 1;
    for (size_t i = 0; i < JG_SETTING_COUNT; i++) {
        char candidate[128];
        if (!jg_setting_env_name(&jg_setting_table[i], candidate, sizeof candidate))
            continue;
        size_t distance = jg_edit_distance(name, candidate);
        if (distance < nearest) {
            nearest = distance;
            snprintf(out, out_bytes, "%s", candidate);
        }
    }
    return nearest <= NEAR;
}

bool
jg_conf_may_show(const char *text)
{
    return !strchr(text, '@') && !strstr(text, "//");
}

void
jg_conf_shown(const char *text, char *out, size_t out_bytes)
{
    static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t bytes = 0;
    if (jg_conf_may_show(text)) {
        while ((unsigned char)text[bytes] > ' ' && text[bytes] != 0x7f)
            bytes++;
    } else if (strncmp(text, JG_CONF_PREFIX, strlen(JG_CONF_PREFIX)) == 0) {
        bytes = strspn(text, name_chars);
    }
    const char *more = text[bytes] ? "..." : "";
    if (bytes > out_bytes - 4) {
        bytes = out_bytes - 4;
        more = "...";
        while (bytes > 0 && ((unsigned char)text[bytes] & 0xC0) == 0x80) /* not in the middle of a character */
            bytes--;
    }
    snprintf(out, out_bytes, "%.*s%s", (int)bytes, text, more);
}
