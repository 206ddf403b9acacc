/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "plugin/canon.h"

void
jg_exposition_family(struct jg_buf *out, const char *name, const char *type, const char *help)
{
    jg_buf_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* How many bytes of a valid sequence begin here; 0: none. */
static size_t
valid_bytes(const char *at)
{
    size_t left = strnlen(at, 4);
    for (size_t bytes = 1; bytes <= left; bytes++)
        if (jg_utf8_valid(at, bytes))
            return bytes;
    return 0;
}

void
jg_exposition_label(struct jg_buf *labels, const char *name, const char *value)
{
    static const char replaced[] = "\xef\xbf\xbd";
    jg_buf_format(labels, "%s%s=\"", labels->size_bytes ? "," : "", name);
    for (const char *at = value; *at;) {
        size_t bytes = valid_bytes(at);
        if (bytes == 0 || strncmp(at, replaced, 3) == 0)
            jg_buf_format(labels, "%s%02x", replaced, (unsigned char)*at++);
        else if (*at == '\n')
            jg_buf_text(labels, "\\n"), at++;
        else {
            if (*at == '"' || *at == '\\')
                jg_buf_text(labels, "\\");
            jg_buf_append(labels, at, bytes);
            at += bytes;
        }
    }
    jg_buf_text(labels, "\"");
}

/* `more`: one more label, or empty. */
static void
sample(struct jg_buf *out, const char *name, const char *suffix, const struct jg_buf *labels, const char *more)
{
    const char *own = labels && labels->data ? labels->data : "";
    bool both = *own && *more;
    bool any = *own || *more;
    if (labels && labels->failed)
        out->failed = true;
    jg_buf_format(out, "%s%s%s", name, suffix, any ? "{" : "");
    jg_buf_text(out, own);
    jg_buf_format(out, "%s%s%s ", both ? "," : "", more, any ? "}" : "");
}

void
jg_exposition_integer(struct jg_buf *out, const char *name, const struct jg_buf *labels, int64_t value)
{
    sample(out, name, "", labels, "");
    jg_buf_format(out, "%" PRId64 "\n", value);
}

static void
seconds(char *text, size_t text_bytes, uint64_t us)
{
    snprintf(text, text_bytes, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

void
jg_exposition_seconds(struct jg_buf *out, const char *name, const struct jg_buf *labels, int64_t value_us)
{
    char text[32];
    seconds(text, sizeof text, value_us > 0 ? (uint64_t)value_us : 0);
    sample(out, name, "", labels, "");
    jg_buf_format(out, "%s\n", text);
}

void
jg_exposition_histogram(struct jg_buf *out, const char *name, const struct jg_buf *labels,
                        const struct jg_histogram *histogram)
{
    struct jg_histogram_counts counts;
    char text[32], bound[48];
    jg_histogram_read(histogram, &counts);
    for (size_t i = 0; i < JG_HISTOGRAM_BOUNDS; i++) {
        snprintf(bound, sizeof bound, "le=\"%g\"", (double)jg_histogram_bounds_us[i] / 1e6);
        sample(out, name, "_bucket", labels, bound);
        jg_buf_format(out, "%" PRIu64 "\n", counts.up_to[i]);
    }
    sample(out, name, "_bucket", labels, "le=\"+Inf\"");
    jg_buf_format(out, "%" PRIu64 "\n", counts.all);
    seconds(text, sizeof text, counts.sum_us);
    sample(out, name, "_sum", labels, "");
    jg_buf_format(out, "%s\n", text);
    sample(out, name, "_count", labels, "");
    jg_buf_format(out, "%" PRIu64 "\n", counts.all);
}
