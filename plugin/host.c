/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/host.h"

#include <dlfcn.h>
#include <pthread.h>

#include "plugin/symtab.h"

static enum jg_host kind = JG_HOST_PLAIN;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
find_out(void)
{
    if (dlsym(RTLD_DEFAULT, "napi_create_function"))
        kind = JG_HOST_NODE;
    else if (jg_symtab_has_section("/proc/self/exe", ".go.buildinfo")) /* there also when it is stripped */
        kind = JG_HOST_GO;
}

enum jg_host
jg_host_kind(void)
{
    pthread_once(&once, find_out);
    return kind;
}
