/* SPDX-License-Identifier: Apache-2.0 */
/* Text for man pages: what means something to roff is escaped, and `such words` become bold. */
#ifndef JG_BASE_ROFF_H
#define JG_BASE_ROFF_H

#include <stdio.h>

/* Without an end of line, to be gone on with. */
void jg_roff_words(FILE *out, const char *text);
/* A line, or the whole of a paragraph. */
void jg_roff_text(FILE *out, const char *text);
/* A line in bold: a name as people type it. */
void jg_roff_bold(FILE *out, const char *text);

#endif
