/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP server for those who look on: GET and HEAD, one thread, few connections, each for one short request. */
#ifndef JG_CLI_ENDPOINT_H
#define JG_CLI_ENDPOINT_H

#include "base/buf.h"
#include "cli/cli.h"

struct jg_endpoint;

struct jg_endpoint_answer {
    unsigned status;
    const char *type;   /* static */
    struct jg_buf body; /* the server frees it */
};

/* Runs on the server's thread, one at a time; other requests wait meanwhile. */
typedef void jg_endpoint_handler(void *opaque, const char *path, struct jg_endpoint_answer *out);

/* Listen on `[ADDRESS:]PORT`; without an address on 127.0.0.1. Answers nobody yet. NULL: said why on standard error. */
JG_MUST_USE struct jg_endpoint *jg_endpoint_listen(const struct jg_cli *cli, const char *where);
/* `address:port`, also where the port was 0. */
const char *jg_endpoint_address(const struct jg_endpoint *endpoint);
/* False: said why. */
JG_MUST_USE bool jg_endpoint_serve(struct jg_endpoint *endpoint, jg_endpoint_handler *handler, void *opaque);
/* Ends its thread; NULL is fine. */
void jg_endpoint_close(struct jg_endpoint *endpoint);

#endif
