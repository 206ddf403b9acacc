/* SPDX-License-Identifier: Apache-2.0 */
/* What language runs in this process, where that changes what a consumer's polls mean. */
#ifndef JG_PLUGIN_HOST_H
#define JG_PLUGIN_HOST_H

enum jg_host {
    JG_HOST_PLAIN,
    JG_HOST_NODE, /* polls on a thread of its own, ahead of the program */
    JG_HOST_GO,   /* its loops move between threads; ReadMessage takes a timeout for nothing to read */
};

/* Any thread; the first call reads the program's file. */
enum jg_host jg_host_kind(void);

#endif
