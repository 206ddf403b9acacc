/* SPDX-License-Identifier: Apache-2.0 */
/* Steps on the links of a chain: of a class with a capacity, whose gauges are `load` and `work`. */
#ifndef JG_TESTS_STORE_LINKS_H
#define JG_TESTS_STORE_LINKS_H

#include "store_steps.h"

#define DONE_TTL_MS 600000
#define CAPACITY 2

void set_work(int64_t value);
/* The work remains, or not; the load is that. */
void arrange_gauges(int64_t load, int64_t work);
/* The jid of the chain of job `letter`, of that number. */
const char *link_of(char letter, unsigned number);
/* The run of a link, at a position: not yet carried out, and carried out. */
struct jg_op linked(enum jg_op_kind kind, char letter, unsigned number, unsigned position);
struct jg_op admit_link(char letter, unsigned number, unsigned position);
struct jg_op complete_link(char letter, unsigned number, unsigned position);
void expect_skipped(struct jg_op op, enum jg_reason reason);
void expect_next(struct jg_op op, const char *next, bool waits);

#endif
