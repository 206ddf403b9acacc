/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of the Redis store: URLs, names in keys, commands, error replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/redis/conn.h"
#include "connectors/redis/resp.h"
#include "connectors/redis/script.h"
#include "connectors/redis/trouble.h"
#include "connectors/redis/url.h"
#include "connectors/store_impl.h"

static void
expect_text(const char *found, const char *wanted)
{
    assert_int_equal(!found, !wanted);
    if (wanted)
        assert_string_equal(found, wanted);
}

static void
a_url_says_where_and_as_whom(void **state)
{
    static const struct {
        const char *text, *host, *port, *path, *user, *password, *display;
        int db;
    } rows[] = {
        {"redis://localhost", "localhost", "6379", NULL, NULL, NULL, "redis://localhost:6379/0", 0},
        {"redis://localhost/", "localhost", "6379", NULL, NULL, NULL, "redis://localhost:6379/0", 0},
        {"redis://h:1/15", "h", "1", NULL, NULL, NULL, "redis://h:1/15", 15},
        {"redis://:p@h", "h", "6379", NULL, NULL, "p", "redis://***@h:6379/0", 0},
        {"redis://u:p@h:7", "h", "7", NULL, "u", "p", "redis://***@h:7/0", 0},
        {"redis://u@h", "h", "6379", NULL, "u", "", "redis://***@h:6379/0", 0},
        {"redis://u:a:b@c@h", "h", "6379", NULL, "u", "a:b@c", "redis://***@h:6379/0", 0},
        {"redis://u%40x:%2f%3A%25%c3%a4@h", "h", "6379", NULL, "u@x", "/:%\xc3\xa4", "redis://***@h:6379/0", 0},
        {"redis://[::1]:7/2", "::1", "7", NULL, NULL, NULL, "redis://[::1]:7/2", 2},
        {"redis://u:p@[fe80::1]", "fe80::1", "6379", NULL, "u", "p", "redis://***@[fe80::1]:6379/0", 0},
        {"redis+unix:///run/r.sock", NULL, NULL, "/run/r.sock", NULL, NULL, "redis+unix:///run/r.sock?db=0", 0},
        {"redis+unix://u:p@/a%20b?db=3", NULL, NULL, "/a b", "u", "p", "redis+unix://***@/a b?db=3", 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct jg_redis_url url;
        struct jg_error error = {.text = ""};
        assert_int_equal(jg_redis_url_parse(rows[i].text, &url, &error), JG_OK);
        expect_text(url.host, rows[i].host);
        expect_text(url.port, rows[i].port);
        expect_text(url.path, rows[i].path);
        expect_text(url.user, rows[i].user);
        expect_text(url.password, rows[i].password);
        expect_text(url.display, rows[i].display);
        assert_int_equal(url.db, rows[i].db);
        jg_redis_url_clear(&url);
    }
}

static void
expect_name(const char *name, const char *wanted)
{
    struct jg_buf out = JG_BUF_INIT;
    jg_buf_text(&out, "jg1:");
    jg_name_escape(&out, name);
    assert_false(out.failed);
    assert_string_equal(out.data + 4, wanted);
    jg_buf_clear(&out);
}

static void
names_in_keys_hold_only_harmless_bytes(void **state)
{
    (void)state;
    expect_name("Email_Worker9", "Email_Worker9");
    expect_name("Mail::Send", "Mail-3a-3aSend");
    expect_name("a-b.c/{d}", "a-2db-2ec-2f-7bd-7d");
    expect_name("\xc3\xa4", "-c3-a4");
    expect_name("", "");
}

static void
long_names_are_cut_and_stay_different(void **state)
{
    (void)state;
    char hundred[101], one[301], other[301];
    struct jg_buf out = JG_BUF_INIT;
    memset(hundred, 'x', 100);
    hundred[100] = '\0';
    expect_name(hundred, hundred);
    memset(one, 'x', 300);
    one[300] = '\0';
    memcpy(other, one, sizeof one);
    other[299] = 'y';
    jg_name_escape(&out, one);
    size_t half = out.size_bytes;
    assert_int_equal(half, 100);
    jg_name_escape(&out, other);
    assert_int_equal(out.size_bytes, 200);
    assert_int_not_equal(memcmp(out.data, out.data + 100, 100), 0);
    assert_memory_equal(out.data, out.data + 100, 60);
    jg_buf_clear(&out);
}

static void
commands_are_framed_by_their_lengths(void **state)
{
    (void)state;
    struct jg_buf out = JG_BUF_INIT;
    jg_resp_command(&out, "GET", "a\r\nb", (char *)NULL);
    jg_resp_begin(&out, 4);
    jg_resp_number(&out, 0);
    jg_resp_number(&out, -17);
    jg_resp_number(&out, INT64_MAX);
    jg_resp_number(&out, INT64_MIN);
    assert_string_equal(out.data, "*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n*4\r\n$1\r\n0\r\n$3\r\n-17\r\n"
                                  "$19\r\n9223372036854775807\r\n$20\r\n-9223372036854775808\r\n");
    jg_buf_clear(&out);
}

static void
expect_trouble(const char *text, bool secret, enum jg_trouble_kind kind, const char *said)
{
    struct jg_trouble trouble = {.kind = JG_TROUBLE_NONE};
    jg_trouble_from_reply(&trouble, text, strlen(text), secret);
    assert_int_equal(trouble.kind, kind);
    assert_non_null(strstr(trouble.error.text, said));
    assert_null(strpbrk(trouble.error.text, "\r\n\x01"));
    assert_true(!secret || !strstr(trouble.error.text, "hush"));
}

static void
error_replies_are_sorted_by_whom_they_concern(void **state)
{
    (void)state;
    expect_trouble("NOSCRIPT No matching script.", false, JG_TROUBLE_NO_SCRIPT, "NOSCRIPT");
    expect_trouble("WRONGPASS invalid username-password pair", true, JG_TROUBLE_SERVER, "is wrong");
    expect_trouble("NOAUTH Authentication required.", false, JG_TROUBLE_SERVER, "asks for a password");
    expect_trouble("OOM command not allowed when used memory > 'maxmemory'.", false, JG_TROUBLE_SERVER, "maxmemory");
    /* As servers before 7 say it. */
    expect_trouble("ERR Error running script (call to f_0): @user_script:1: -OOM command not allowed", false,
                   JG_TROUBLE_SERVER, "memory is full");
    expect_trouble("READONLY You can't write against a read only replica.", false, JG_TROUBLE_SERVER, "replica");
    expect_trouble("LOADING Redis is loading the dataset in memory", false, JG_TROUBLE_SERVER, "loading");
    expect_trouble("WRONGTYPE Operation against a key", false, JG_TROUBLE_COMMAND, "WRONGTYPE");
    expect_trouble("ERR my BOOMERANG is gone", false, JG_TROUBLE_COMMAND, "BOOMERANG");
    expect_trouble("ERR unknown command `AUTH`, args: `hush`", true, JG_TROUBLE_SERVER, "not accepted");
    expect_trouble("ERR line\r\nbreaks \x01", false, JG_TROUBLE_COMMAND, "line  breaks");
    expect_trouble("", false, JG_TROUBLE_COMMAND, "answered");
}

static void
the_run_id_is_found_in_what_info_says(void **state)
{
    (void)state;
    char run_id[JG_RUN_ID_MAX_CHARS + 1];
    static const char info[] = "# Server\r\nredis_version:7.0.15\r\nrun_id:3f2a\r\ntcp_port:6379\r\n";
    assert_true(jg_conn_parse_run_id(info, sizeof info - 1, run_id));
    assert_string_equal(run_id, "3f2a");
    assert_true(jg_conn_parse_run_id("run_id:ab", 9, run_id));
    assert_false(jg_conn_parse_run_id("run_id:", 7, run_id));
    assert_false(jg_conn_parse_run_id("run_id:\r\n", 9, run_id));
    assert_false(jg_conn_parse_run_id("nothing", 7, run_id));
    char endless[200];
    snprintf(endless, sizeof endless, "run_id:%0190d", 1);
    assert_false(jg_conn_parse_run_id(endless, strlen(endless), run_id));
}

/* Who did not say a password yet may send no longer argument: the connection would break instead of telling why. */
static void
every_script_is_short_enough_for_a_server_that_wants_a_password(void **state)
{
    (void)state;
    for (int kind = 0; kind < JG_OP_KINDS; kind++) {
        struct jg_buf source = JG_BUF_INIT;
        jg_script_source((enum jg_op_kind)kind, &source);
        assert_false(source.failed);
        if (source.size_bytes > 16384)
            fail_msg("%s with what it shares has %zu bytes", jg_scripts[kind].name, source.size_bytes);
        jg_buf_clear(&source);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_says_where_and_as_whom),
        cmocka_unit_test(every_script_is_short_enough_for_a_server_that_wants_a_password),
        cmocka_unit_test(names_in_keys_hold_only_harmless_bytes),
        cmocka_unit_test(long_names_are_cut_and_stay_different),
        cmocka_unit_test(commands_are_framed_by_their_lengths),
        cmocka_unit_test(error_replies_are_sorted_by_whom_they_concern),
        cmocka_unit_test(the_run_id_is_found_in_what_info_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
