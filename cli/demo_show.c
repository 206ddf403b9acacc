/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline on standard output. Columns of plain ASCII, so that it can be read anywhere; colour only on a terminal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/demo.h"

#define WHAT_COLUMNS 42

static const char *
color_of(const struct jg_demo *demo, enum jg_demo_look look)
{
    static const char *const colors[] = {
        [JG_DEMO_PLAIN] = "",
        [JG_DEMO_GOOD] = "\033[32m",
        [JG_DEMO_DROPPED] = "\033[33m",
        [JG_DEMO_BAD] = "\033[1;31m",
    };
    return demo->color ? colors[look] : "";
}

static const char *
plain_of(const struct jg_demo *demo)
{
    return demo->color ? "\033[0m" : "";
}

void
jg_demo_title(const struct jg_demo *demo, const char *text)
{
    printf("\n%s%s%s\n", demo->color ? "\033[1m" : "", text, plain_of(demo));
}

void
jg_demo_about(const char *text)
{
    if (text)
        printf("%s\n", text);
}

static void
print_row(const struct jg_demo *demo, enum jg_demo_look look, const char *who, const char *what, const char *why)
{
    int64_t passed_ms = jg_clock_ms() - demo->began_ms;
    printf("%3lld.%03d  %-10s  %s%-*s%s%s%s\n", (long long)(passed_ms / 1000), (int)(passed_ms % 1000), who,
           color_of(demo, look), why ? WHAT_COLUMNS : 0, what, plain_of(demo), why ? "  " : "", why ? why : "");
    (void)fflush(stdout); /* in step with what the libraries say on standard error */
}

void
jg_demo_row(const struct jg_demo *demo, enum jg_demo_look look, const char *who, const char *why, const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    print_row(demo, look, who, what, why);
}

bool
jg_demo_refute(struct jg_demo *demo, const char *fmt, ...)
{
    char what[512] = "NOT AS PROMISED: ";
    size_t bytes = strlen(what);
    va_list args;
    va_start(args, fmt);
    vsnprintf(what + bytes, sizeof what - bytes, fmt, args);
    va_end(args);
    print_row(demo, JG_DEMO_BAD, "demo", what, NULL);
    demo->refuted = true;
    return false;
}

void
jg_demo_print_headers(const struct jg_demo_job *job, const char *prefix)
{
    for (size_t i = 0; i < job->header_count; i++)
        if (strncmp(job->headers[i].name, prefix, strlen(prefix)) == 0)
            printf("%21s%-24s  %s\n", "", job->headers[i].name, job->headers[i].value);
}
