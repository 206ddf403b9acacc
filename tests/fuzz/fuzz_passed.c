/* SPDX-License-Identifier: Apache-2.0 */
/* A commit's metadata that somebody else wrote. Input: four bytes of an offset, then the text; with the checksum that
 * the text is to have, since guessing it is not what is tried. */
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/passed.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size_bytes);

static void
check(const void *text, size_t text_bytes, int64_t next)
{
    struct jg_passed passed;
    char again[JG_PASSED_TEXT_MAX + 1];
    if (jg_passed_parse(text, text_bytes, "jobs.held.Mail", 1, next, &passed) == JG_OK) {
        int64_t end = next;
        for (size_t i = 0; i < passed.count; i++) {
            if (passed.runs[i].first <= end || passed.runs[i].end <= passed.runs[i].first)
                abort();
            end = passed.runs[i].end;
        }
        /* It is written in one way only. */
        if (!jg_passed_text(&passed, "jobs.held.Mail", 1, next, again) || strlen(again) != text_bytes ||
            (text_bytes && memcmp(again, text, text_bytes) != 0))
            abort();
    }
    jg_passed_clear(&passed);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size_bytes)
{
    uint32_t next = 0;
    if (size_bytes < 4)
        return 0;
    memcpy(&next, data, sizeof next);
    check(data + 4, size_bytes - 4, next);
    return 0;
}
