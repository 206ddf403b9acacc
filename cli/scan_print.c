/* SPDX-License-Identifier: Apache-2.0 */
/* Where in Kafka a job was found, and what its messages say. */
#include <stdio.h>
#include <string.h>

#include "cli/explain.h"

static const char *const place_names[] = {
    [JG_PLACE_TOPIC] = "topic", [JG_PLACE_HELD] = "holding topic", [JG_PLACE_DEAD] = "dead letters"};

static void
print_plain(const char *text)
{
    jg_cli_print_plain(text, strlen(text));
}

static void
print_progress(const struct jg_scan_find *find)
{
    const char *past = find->place == JG_PLACE_HELD ? "it was taken from here, back to its topic or to the dead letters"
                                                    : "it was started, held or skipped here";
    if (find->place == JG_PLACE_DEAD)
        return;
    if (!find->group[0])
        printf("    how far its consumers have come is not known: no group has the topic now, --group names one\n");
    else if (find->committed < 0)
        printf("    group %s has committed nothing here%s\n", find->group,
               find->place == JG_PLACE_HELD ? ": it waits here" : " yet");
    else if (jg_scan_is_past(find))
        printf("    group %s is past it (committed %lld%s): %s\n", find->group, (long long)find->committed,
               find->passed ? ", and some behind that" : "", past);
    else
        printf("    group %s has not passed it (committed %lld, so %lld before it)%s\n", find->group,
               (long long)find->committed, (long long)(find->offset - find->committed),
               find->place == JG_PLACE_HELD ? ": it waits here" : "");
}

static void
print_held(const struct jg_scan_find *find)
{
    const struct jg_stamp *stamp = &find->stamp;
    if (!stamp->held_since_ms)
        return;
    jg_cli_print_when("    first held ", stamp->held_since_ms);
    printf(", reason %s: %s\n", jg_reason_name(stamp->held_reason), jg_cli_reason_text(stamp->held_reason));
    printf("    it first came from %s/%d/%lld\n", find->origin, (int)stamp->held_partition,
           (long long)stamp->held_offset);
    if (stamp->not_before_ms) {
        jg_cli_print_when("    not to be resumed before ", stamp->not_before_ms);
        putchar('\n');
    }
    if (stamp->resumed)
        printf("    resumed %lld times\n", (long long)stamp->resumed);
}

static void
print_stamp(const struct jg_scan_find *find)
{
    const struct jg_stamp *stamp = &find->stamp;
    if (find->stamped == JG_STAMP_FOREIGN)
        printf("    its jobgate headers are not of this namespace and topic, or damaged: consumers do not heed them\n");
    if (find->stamped == JG_STAMP_NONE)
        printf("    no plugin produced it: it has no claim, and its consumer identifies it\n");
    if (find->stamped != JG_STAMP_OURS)
        return;
    if (stamp->duplicate_of[0]) {
        printf("    marked as a duplicate of %s", stamp->duplicate_of);
        jg_cli_print_when(", claimed ", stamp->duplicate_since_ms);
        printf(": consumers skip it\n");
    }
    if (stamp->candidate_of[0])
        printf("    a candidate of %s: it runs unless that one did\n", stamp->candidate_of);
    if (stamp->unclaimed)
        printf("    sent without a claim, while the store was down\n");
    if (stamp->attempt)
        printf("    it has failed %lld times, one after another\n", (long long)stamp->attempt);
    print_held(find);
}

static void
print_find(const struct jg_scan_find *find)
{
    printf("  %s/%d/%lld", find->topic, (int)find->partition, (long long)find->offset);
    if (find->place != JG_PLACE_TOPIC)
        printf(", the %s of %s", place_names[find->place], find->origin);
    if (find->time_ms >= 0)
        jg_cli_print_when(", of ", find->time_ms);
    printf("\n    job %s of class ", find->stamp.jid[0] ? find->stamp.jid : "without a jid");
    print_plain(find->stamp.class_name[0] ? find->stamp.class_name : "(not told)");
    putchar('\n');
    if (find->place == JG_PLACE_DEAD) {
        printf("    dead: ");
        print_plain(find->dead_reason[0] ? find->dead_reason : "too large for the holding topic, or put here by hand");
        printf(". Nothing brings it back by itself\n");
    }
    print_progress(find);
    print_stamp(find);
}

static void
print_looked(const struct jg_scan *scan)
{
    printf("Looked through %lld messages in %lld partitions of", (long long)scan->messages,
           (long long)scan->partitions);
    for (size_t i = 0; i < scan->topics.count; i++)
        printf("%s %s", i ? "," : "", scan->topics.list[i]);
    printf("%s.\n", scan->topics.count ? ""
                                       : " no topic: none that jobgate.topics names is there, or this client may "
                                         "not Describe it");
    if (scan->late)
        printf("The time was over after %g s: at most %lld messages were not looked at. --timeout SECONDS gives "
               "more, --topic\nTOPIC looks at one topic and what is beside it.\n",
               (double)scan->timeout_ms / 1000, (long long)scan->messages_left);
}

void
jg_scan_print(const struct jg_scan *scan)
{
    const char *what = scan->jid[0] ? scan->jid : scan->key;
    if (scan->total == 0)
        printf("In Kafka nothing was found of %s %s%s.\n", scan->jid[0] ? "job" : "key", what,
               scan->late ? " so far" : "");
    else
        printf("In Kafka, %lld %s of %s %s, the oldest first:\n", (long long)scan->total,
               scan->total == 1 ? "message" : "messages", scan->jid[0] ? "job" : "key", what);
    for (size_t i = 0; i < scan->count; i++)
        print_find(&scan->finds[i]);
    if (scan->total > (int64_t)scan->count)
        printf("  and %lld more\n", (long long)scan->total - (long long)scan->count);
    print_looked(scan);
    if (scan->total == 0 && !scan->late)
        printf("Either it was never acknowledged by a broker; or it is too long ago: topics drop what is older than "
               "their\nretention, holding topics what was resumed; or it is of another topic, namespace or cluster.\n");
}

/* --- JSON --- */

static json_t *
text_json(const char *text)
{
    return jg_cli_json_text(text, strlen(text));
}

static json_t *
number_or_null(bool is_known, int64_t value)
{
    return is_known ? json_integer((json_int_t)value) : json_null();
}

static json_t *
held_json(const struct jg_stamp *stamp)
{
    if (!stamp->held_since_ms)
        return json_null();
    return json_pack("{s:I, s:s, s:i, s:I, s:o, s:I}", "since_ms", (json_int_t)stamp->held_since_ms, "reason",
                     jg_reason_name(stamp->held_reason), "from_partition", (int)stamp->held_partition, "from_offset",
                     (json_int_t)stamp->held_offset, "not_before_ms",
                     number_or_null(stamp->not_before_ms > 0, stamp->not_before_ms), "resumed",
                     (json_int_t)stamp->resumed);
}

static json_t *
find_json(const struct jg_scan_find *find)
{
    static const char *const places[] = {
        [JG_PLACE_TOPIC] = "topic", [JG_PLACE_HELD] = "held", [JG_PLACE_DEAD] = "dead"};
    static const char *const stamps[] = {
        [JG_STAMP_NONE] = "none", [JG_STAMP_OURS] = "ours", [JG_STAMP_FOREIGN] = "foreign"};
    const struct jg_stamp *stamp = &find->stamp;
    bool known = find->group[0] && find->committed >= 0;
    json_t *value =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:o, s:s}", "place", places[find->place], "topic", find->topic,
                  "origin", find->origin, "partition", (int)find->partition, "offset", (json_int_t)find->offset,
                  "timestamp_ms", number_or_null(find->time_ms >= 0, find->time_ms), "jid", text_json(stamp->jid),
                  "class", text_json(stamp->class_name), "stamp", stamps[find->stamped]);
    if (!value)
        return NULL;
    json_object_set_new(value, "group", text_json(find->group));
    json_object_set_new(value, "committed", number_or_null(known, find->committed));
    json_object_set_new(value, "passed", known ? json_boolean(jg_scan_is_past(find)) : json_null());
    json_object_set_new(value, "duplicate_of", text_json(stamp->duplicate_of));
    json_object_set_new(value, "candidate_of", text_json(stamp->candidate_of));
    json_object_set_new(value, "unclaimed", json_boolean(stamp->unclaimed));
    json_object_set_new(value, "attempt", json_integer((json_int_t)stamp->attempt));
    json_object_set_new(value, "held", held_json(stamp));
    json_object_set_new(value, "dead_reason", text_json(find->dead_reason));
    return value;
}

json_t *
jg_scan_json(const struct jg_scan *scan)
{
    json_t *finds = json_array();
    json_t *topics = json_array();
    for (size_t i = 0; i < scan->count; i++)
        json_array_append_new(finds, find_json(&scan->finds[i]));
    for (size_t i = 0; i < scan->topics.count; i++)
        json_array_append_new(topics, text_json(scan->topics.list[i]));
    return json_pack("{s:b, s:o, s:I, s:I, s:I, s:I, s:o}", "complete", (int)!scan->late, "topics", topics,
                     "partitions", (json_int_t)scan->partitions, "messages", (json_int_t)scan->messages, "left",
                     (json_int_t)scan->messages_left, "total", (json_int_t)scan->total, "found", finds);
}
