/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate's public C API. A program needs none of it: the plugin is loaded by the property
 * `plugin.library.paths=jobgate` and works on unchanged programs. It is for programs that want to look.
 *
 * The functions are exported by jobgate.so; reach them by dlsym(), or by linking with `pkg-config --libs jobgate`. */
#ifndef JOBGATE_H
#define JOBGATE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JOBGATE_VERSION "0.2.0"

/* Headers that the producing plugin stamps on a job. */
#define JOBGATE_HEADER_PREFIX "jobgate-"
#define JOBGATE_HEADER_VERSION "jobgate-v"                       /* "1" */
#define JOBGATE_HEADER_ORIGIN "jobgate-origin"                   /* <namespace>/<topic> */
#define JOBGATE_HEADER_JID "jobgate-jid"                         /* unique id of this job: <job key>-<random> */
#define JOBGATE_HEADER_CLASS "jobgate-class"                     /* its class */
#define JOBGATE_HEADER_KEY "jobgate-key"                         /* hash of class and arguments, 32 hex digits */
#define JOBGATE_HEADER_DEDUP "jobgate-dedup"                     /* until_executing or until_executed */
#define JOBGATE_HEADER_DUPLICATE_OF "jobgate-duplicate-of"       /* a marked duplicate: jid of its original */
#define JOBGATE_HEADER_DUPLICATE_SINCE "jobgate-duplicate-since" /* ... claimed at, Unix time in ms */
#define JOBGATE_HEADER_CANDIDATE_OF "jobgate-candidate-of"       /* may have to run: jid of its original */
#define JOBGATE_HEADER_UNCLAIMED "jobgate-unclaimed"             /* "1": sent while the store was down */
#define JOBGATE_HEADER_HELD_SINCE "jobgate-held-since"   /* in the holding topic, and resumed: first held, Unix ms */
#define JOBGATE_HEADER_HELD_REASON "jobgate-held-reason" /* ... why: limit, behind, paused */
#define JOBGATE_HEADER_HELD_FROM "jobgate-held-from"     /* ... <partition>/<offset> of the origin topic, at first */
#define JOBGATE_HEADER_HELD_TIME "jobgate-held-time"     /* ... the message's own timestamp, Unix ms */
#define JOBGATE_HEADER_RESUMED "jobgate-resumed"         /* how often it was resumed; none: it is no resumed job */
#define JOBGATE_HEADER_DEAD_REASON "jobgate-dead-reason" /* in <topic>.dead: why it cannot run */
#define JOBGATE_HEADER_RELEASE "jobgate-release"         /* the application's own; never removed */

/* What a skipped message's `payload` begins with, in clients that show it: tells a skip from a real end of partition.
 */
#define JOBGATE_SKIP_TEXT "jobgate: skipped"

/* The version of the loaded plugin. Static text. Any thread. */
const char *jobgate_version(void);

/* One of the plugin's counters by name ("duplicate", "skipped", "store_failures" ...), summed over all handles of
 * this process. Returns -1 for an unknown name. Any thread, never blocks. */
int64_t jobgate_counter(const char *name);

/* The name of counter number `index`, from 0; NULL past the last. Static text. Any thread. */
const char *jobgate_counter_name(unsigned index);

#ifdef __cplusplus
}
#endif

#endif
