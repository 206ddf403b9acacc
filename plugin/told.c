/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/told.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_OPS 128

struct jg_told *
jg_told_find(struct jg_told **list, const char *name, size_t bytes)
{
    struct jg_told *told = *list;
    while (told && strcmp(told->name, name) != 0)
        told = told->next;
    if (told || !(told = calloc(1, bytes)))
        return told;
    told->name = strdup(name);
    if (!told->name) {
        free(told);
        return NULL;
    }
    told->next = *list;
    *list = told;
    return told;
}

void
jg_told_clear(struct jg_told **list)
{
    while (*list) {
        struct jg_told *next = (*list)->next;
        free((*list)->name);
        free(*list);
        *list = next;
    }
}

void
jg_told_note(struct jg_gate *gate, const struct jg_told_kind *kind, struct jg_told *told, const struct jg_op *op,
             int64_t now_ms)
{
    pthread_mutex_lock(&gate->lock);
    told->told_ms = now_ms ? now_ms : 1;
    kind->note(gate, told, op);
    pthread_mutex_unlock(&gate->lock);
}

void
jg_told_tend(struct jg_gate *gate, const struct jg_told_kind *kind, struct jg_told *const *list, int64_t now_ms)
{
    struct jg_told *due[BATCH_OPS];
    struct jg_op ops[BATCH_OPS];
    size_t count = 0;
    pthread_mutex_lock(&gate->lock);
    for (struct jg_told *told = *list; told && count < BATCH_OPS; told = told->next) {
        due[count] = told;
        if (now_ms - told->told_ms >= kind->again_ms && kind->tell(gate, told, &ops[count]))
            count++;
    }
    pthread_mutex_unlock(&gate->lock);
    if (count == 0)
        return;
    (void)!jg_ask(gate, ops, count);
    for (size_t i = 0; i < count; i++)
        if (ops[i].err == JG_OK)
            jg_told_note(gate, kind, due[i], &ops[i], now_ms);
}
