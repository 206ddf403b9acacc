/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of settings: a conf under construction, what was warned about, and the promise, kept at the end of each
 * test, that neither errors nor warnings hold the secret. */
#ifndef JG_TESTS_UNIT_CONF_SUPPORT_H
#define JG_TESTS_UNIT_CONF_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "plugin/conf.h"

#define SECRET "geheim"

struct fixture {
    struct jg_conf *conf;
    struct jg_error error;
    struct jg_log log;
    struct jg_buf warnings;
    char file[64];
};

static inline void
remember_warning(void *opaque, int level, const char *fac, const char *text)
{
    struct fixture *fixture = opaque;
    assert_int_equal(level, JG_LOG_WARNING);
    assert_string_equal(fac, "CONFIG");
    jg_buf_format(&fixture->warnings, "%s\n", text);
}

static inline void
clear_environment(void)
{
    static const char *const names[] = {"JOBGATE_CONFIG",        "JOBGATE_STORE",  "JOBGATE_STORE_TIMEOUT_MS",
                                        "JOBGATE_DEFAULT_DEDUP", "JOBGATE_TOPICS", "JOBGATE_DISABLE",
                                        "JOBGATE_SERVICE_HOST",  "JOBGATE_STOER",  "JOBGATE_FORMAT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

static inline int
setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    clear_environment();
    fixture->conf = jg_conf_new();
    assert_non_null(fixture->conf);
    fixture->log = (struct jg_log){.level = JG_LOG_DEBUG, .sink = remember_warning, .opaque = fixture};
    *state = fixture;
    return 0;
}

static inline int
teardown(void **state)
{
    struct fixture *fixture = *state;
    assert_null(strstr(fixture->error.text, SECRET));
    if (fixture->warnings.data)
        assert_null(strstr(fixture->warnings.data, SECRET));
    jg_conf_destroy(fixture->conf);
    jg_buf_clear(&fixture->warnings);
    if (fixture->file[0])
        unlink(fixture->file);
    clear_environment();
    free(fixture);
    return 0;
}

static inline void
set(struct fixture *fixture, const char *name, const char *value)
{
    if (jg_conf_set(fixture->conf, name, value, &fixture->error) != JG_OK)
        fail_msg("%s=%s: %s", name, value, fixture->error.text);
}

static inline void
refuse(struct fixture *fixture, const char *name, const char *value, const char *says)
{
    assert_int_equal(jg_conf_set(fixture->conf, name, value, &fixture->error), JG_EINVAL);
    if (!strstr(fixture->error.text, says))
        fail_msg("%s=%s: '%s' does not say '%s'", name, value, fixture->error.text, says);
}

static inline void
finish(struct fixture *fixture)
{
    if (jg_conf_finish(fixture->conf, &fixture->log, &fixture->error) != JG_OK)
        fail_msg("%s", fixture->error.text);
}

static inline void
refuse_finish(struct fixture *fixture, const char *says)
{
    assert_int_equal(jg_conf_finish(fixture->conf, &fixture->log, &fixture->error), JG_EINVAL);
    if (!strstr(fixture->error.text, says))
        fail_msg("'%s' does not say '%s'", fixture->error.text, says);
}

static inline void
assert_warned(const struct fixture *fixture, const char *says)
{
    if (!fixture->warnings.data || !strstr(fixture->warnings.data, says))
        fail_msg("no warning says '%s', only: %s", says, fixture->warnings.data ? fixture->warnings.data : "nothing");
}

static inline void
assert_not_warned(const struct fixture *fixture)
{
    if (fixture->warnings.size_bytes)
        fail_msg("warned: %s", fixture->warnings.data);
}

static inline const char *
write_file(struct fixture *fixture, const char *text)
{
    snprintf(fixture->file, sizeof fixture->file, "/tmp/jobgate-test-XXXXXX");
    int descriptor = mkstemp(fixture->file);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(descriptor), 0);
    return fixture->file;
}

static inline void
refuse_file(struct fixture *fixture, const char *text, const char *says)
{
    refuse(fixture, "jobgate.config", write_file(fixture, text), says);
    assert_non_null(strstr(fixture->error.text, fixture->file));
    unlink(fixture->file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
