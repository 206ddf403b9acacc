/* SPDX-License-Identifier: Apache-2.0 */
/* Results of functions that can fail. A refusal (a verdict, a duplicate) is never one of these. */
#ifndef JG_BASE_ERR_H
#define JG_BASE_ERR_H

#define JG_MUST_USE __attribute__((warn_unused_result))
#define JG_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

enum jg_err {
    JG_OK = 0,
    JG_EINVAL, /* the input is malformed; an error text says how */
    JG_ENOMEM, /* out of memory, or over a configured bound */
    JG_ENOENT, /* no such thing */
    JG_ESTORE, /* the store did not answer in time, or answered nonsense: nothing was learned */
    JG_EHOST   /* the host's librdkafka refused or lacks what was asked */
};

/* Text buffer that callers offer for a reason in words. */
struct jg_error {
    char text[512];
};

#endif
