/* SPDX-License-Identifier: Apache-2.0 */
/* Which process we are in: a forked child inherits handles whose threads it does not have. */
#ifndef JG_PLUGIN_PROCESS_H
#define JG_PLUGIN_PROCESS_H

/* Grows by one in every forked child. Any thread. */
unsigned jg_process_generation(void);

#endif
