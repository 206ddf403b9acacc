/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a class of the memory store back in time, as a Redis that is restored from an old snapshot. */
#ifndef JG_TESTS_MEMORY_REWIND_H
#define JG_TESTS_MEMORY_REWIND_H

#include "connectors/memory/memory.h"

/* A copy of the class; the caller frees it with memory_snapshot_destroy. */
struct jg_memory_class *memory_snapshot(const struct jg_memory_class *class);
void memory_snapshot_destroy(struct jg_memory_class *snapshot);

/* Make the class what it was. The epoch is the old one too: start a new one. */
void memory_rewind(struct jg_memory_class *class, const struct jg_memory_class *snapshot);

/* Forget everything, the epoch too. */
void memory_flush(struct jg_memory_class *class);

#endif
