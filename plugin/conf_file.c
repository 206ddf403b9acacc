/* SPDX-License-Identifier: Apache-2.0 */
/* A file of settings: `jobgate.<setting>=value` lines, `#` comment lines, blank lines. Spaces around a name and a value
 * do not count. The text of a line that is refused is not shown beyond its name: it may hold a password. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/conf_impl.h"

#define FILE_MAX_BYTES (1024 * 1024)

static char *
trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t bytes = strlen(text);
    while (bytes > 0 && strchr(" \t\r", text[bytes - 1]))
        text[--bytes] = '\0';
    return text;
}

static enum jg_err
read_line(const char *place, char *line, struct jg_entries *out, struct jg_error *error)
{
    line = trim(line);
    if (*line == '\0' || *line == '#')
        return JG_OK;
    char *equals = strchr(line, '=');
    if (!equals) {
        snprintf(error->text, sizeof error->text, "%s: no '=': a line is name=value, a comment starts with '#'", place);
        return JG_EINVAL;
    }
    *equals = '\0';
    const char *name = trim(line);
    const char *value = trim(equals + 1);
    char shown_name[160];
    jg_conf_shown(name, shown_name, sizeof shown_name);
    if (strncmp(name, JG_CONF_PREFIX, strlen(JG_CONF_PREFIX)) != 0) {
        snprintf(error->text, sizeof error->text, "%s: '%s' does not start with " JG_CONF_PREFIX, place, shown_name);
        return JG_EINVAL;
    }
    if (strcmp(name, JG_CONF_PREFIX "config") == 0) {
        snprintf(error->text, sizeof error->text, "%s: a file cannot name another one", place);
        return JG_EINVAL;
    }
    char shown[480];
    snprintf(shown, sizeof shown, "%s: %s", place, shown_name);
    return jg_entries_set(out, name + strlen(JG_CONF_PREFIX), shown, value, error);
}

/* `text` is NUL-terminated and is taken apart. */
static enum jg_err
read_lines(const char *shown, char *text, struct jg_entries *out, struct jg_error *error)
{
    enum jg_err err = JG_OK;
    char *line = NULL;
    for (int number = 1; err == JG_OK && (line = strsep(&text, "\n")); number++) {
        char place[300];
        snprintf(place, sizeof place, "%.256s:%d", shown, number);
        err = read_line(place, line, out, error);
    }
    if (err != JG_OK)
        jg_entries_clear(out);
    return err;
}

enum jg_err
jg_conf_read_text(const char *shown, const char *text, size_t size_bytes, struct jg_entries *out,
                  struct jg_error *error)
{
    if (size_bytes > FILE_MAX_BYTES || memchr(text, '\0', size_bytes)) {
        snprintf(error->text, sizeof error->text, "%.256s: no file of settings: it is larger than %d bytes, or binary",
                 shown, FILE_MAX_BYTES);
        return JG_EINVAL;
    }
    char *copy = strndup(text, size_bytes);
    if (!copy) {
        snprintf(error->text, sizeof error->text, "%.256s: out of memory", shown);
        return JG_ENOMEM;
    }
    enum jg_err err = read_lines(shown, copy, out, error);
    explicit_bzero(copy, size_bytes);
    free(copy);
    return err;
}

enum jg_err
jg_conf_read_file(const char *path, struct jg_entries *out, struct jg_error *error)
{
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(FILE_MAX_BYTES + 1) : NULL;
    enum jg_err err = JG_EINVAL;
    if (!file || !text) {
        snprintf(error->text, sizeof error->text, "%.256s (named by jobgate.config or JOBGATE_CONFIG): %s", path,
                 strerror(errno));
        goto out;
    }
    errno = 0;
    size_t size_bytes = fread(text, 1, FILE_MAX_BYTES + 1, file);
    if (ferror(file)) {
        snprintf(error->text, sizeof error->text, "%.256s (named by jobgate.config or JOBGATE_CONFIG): %s", path,
                 strerror(errno));
        goto out;
    }
    err = jg_conf_read_text(path, text, size_bytes, out, error);
    explicit_bzero(text, size_bytes);
out:
    free(text);
    if (file)
        (void)fclose(file);
    return err;
}
