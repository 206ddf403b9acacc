/* SPDX-License-Identifier: Apache-2.0 */
#include "base/roff.h"

#include <stdbool.h>

/* How roff is told to print this character, and nothing else; NULL: as it is. */
static const char *
escaped(char c)
{
    switch (c) {
    case '\\':
        return "\\e";
    case '-':
        return "\\-"; /* a hyphen that can be copied into a shell */
    case '\'':
        return "\\(aq";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    default:
        return NULL;
    }
}

void
jg_roff_words(FILE *out, const char *text)
{
    bool bold = false;
    /* Never the first of a line to roff, whatever it is. */
    fputs("\\&", out);
    for (const char *at = text; *at; at++) {
        const char *instead = escaped(*at);
        if (*at == '`') {
            bold = !bold;
            instead = bold ? "\\fB" : "\\fR";
        }
        if (instead)
            fputs(instead, out);
        else
            fputc(*at == '\n' ? ' ' : *at, out);
    }
    if (bold)
        fputs("\\fR", out);
}

void
jg_roff_text(FILE *out, const char *text)
{
    jg_roff_words(out, text);
    fputc('\n', out);
}

void
jg_roff_bold(FILE *out, const char *text)
{
    fputs("\\fB", out);
    jg_roff_words(out, text);
    fputs("\\fR\n", out);
}
