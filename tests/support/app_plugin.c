/* SPDX-License-Identifier: Apache-2.0 */
/* What a program may ask of the plugin that its client has loaded: the functions of plugin/jobgate.h, found in the
 * library that the command names, which stays as it was loaded. */
#include "tests/support/app.h"

#include <dlfcn.h>
#include <string.h>

typedef int complete_fn(const char *topic, int32_t partition, int64_t offset, int outcome);
typedef int64_t counter_fn(const char *name);
typedef int64_t lease_fn(const char *topic, int32_t partition, int64_t offset);

/* A function of "library"; NULL: no client has loaded it, or it has no such function. */
static void *
find(const json_t *cmd, const char *name)
{
    const char *path = json_string_value(json_object_get(cmd, "library"));
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_NOLOAD) : NULL;
    void *function = library ? dlsym(library, name) : NULL;
    if (library)
        dlclose(library);
    return function;
}

static json_t *
no_function(const char *name)
{
    return json_pack("{s:s+}", "failure", "no loaded plugin has ", name);
}

/* "calls": [[topic, partition, offset, outcome], ...], one after another; "answers": what each said. */
json_t *
app_complete(struct app_handle *none, const json_t *cmd)
{
    complete_fn *complete;
    void *function = find(cmd, "jobgate_complete");
    (void)none;
    if (!function)
        return no_function("jobgate_complete");
    memcpy(&complete, &function, sizeof complete);
    json_t *answers = json_array();
    size_t i;
    const json_t *call;
    json_array_foreach(json_object_get(cmd, "calls"), i, call)
    {
        int answer =
            complete(json_string_value(json_array_get(call, 0)), (int32_t)json_integer_value(json_array_get(call, 1)),
                     json_integer_value(json_array_get(call, 2)), (int)json_integer_value(json_array_get(call, 3)));
        json_array_append_new(answers, json_integer(answer));
    }
    return json_pack("{s:o}", "answers", answers);
}

json_t *
app_counter(struct app_handle *none, const json_t *cmd)
{
    counter_fn *counter;
    void *function = find(cmd, "jobgate_counter");
    (void)none;
    if (!function)
        return no_function("jobgate_counter");
    memcpy(&counter, &function, sizeof counter);
    return json_pack("{s:I}", "value", (json_int_t)counter(json_string_value(json_object_get(cmd, "name"))));
}

/* Of the job at "topic", "partition" and "offset". */
json_t *
app_lease(struct app_handle *none, const json_t *cmd)
{
    lease_fn *token, *left_ms;
    const char *topic = json_string_value(json_object_get(cmd, "topic"));
    int32_t partition = (int32_t)json_integer_value(json_object_get(cmd, "partition"));
    int64_t offset = json_integer_value(json_object_get(cmd, "offset"));
    void *functions[] = {find(cmd, "jobgate_lease_token"), find(cmd, "jobgate_lease_left_ms")};
    (void)none;
    if (!functions[0] || !functions[1])
        return no_function("jobgate_lease_*");
    memcpy(&token, &functions[0], sizeof token);
    memcpy(&left_ms, &functions[1], sizeof left_ms);
    return json_pack("{s:I, s:I}", "token", (json_int_t)token(topic, partition, offset), "left_ms",
                     (json_int_t)left_ms(topic, partition, offset));
}
