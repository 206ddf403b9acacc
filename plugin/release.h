/* SPDX-License-Identifier: Apache-2.0 */
/* Releases: a consumed message frees capacity slots by its `jobgate-release` headers, whatever becomes of the message.
 *
 * The store is told in the exchange that asks whether the message's job may start; where nothing is asked, in the
 * background, until it answers, and for as long as the slot may last. Where the plugin stores offsets, the message's
 * offset is finished only then: a crash before it brings the message, and its release, once more. */
#ifndef JG_PLUGIN_RELEASE_H
#define JG_PLUGIN_RELEASE_H

#include "plugin/gate.h"
#include "plugin/stamp.h"

struct jg_coming;

struct jg_releases {
    size_t count; /* JG_RELEASES_MOST at most */
    struct jg_release list[];
};

/* Into coming->releases: what the headers say; what is malformed, or one too many, is counted and logged. A job that
 * was here before (resumed, or a successor) has said it already. */
void jg_release_read(struct jg_gate *gate, struct jg_coming *coming, const struct jg_stamp_notes *notes);

/* Those that are not told yet, as operations that borrow them. Returns how many. NULL is fine. */
size_t jg_release_ops(const struct jg_releases *releases, struct jg_op *ops);
/* ... and how they went. */
void jg_release_note(struct jg_releases *releases, const struct jg_op *ops);

/* Hand those that are not told yet to the background thread. False: too many wait there already, and the message was
 * held back: it comes again. `coming`: inside jg_gate_consume, its offset is open. */
JG_MUST_USE bool jg_release_later(struct jg_gate *gate, const struct jg_coming *coming);
/* The same when the message cannot be held back any more; those for which there is no room are given up. */
void jg_release_rest(struct jg_gate *gate, const struct jg_coming *coming);

/* The background thread is done with one of them; false: in vain. Not under the lock. Any thread. */
void jg_release_told(struct jg_gate *gate, const struct jg_pending *pending, bool told);

#endif
