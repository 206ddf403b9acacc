/* SPDX-License-Identifier: Apache-2.0 */
/* The symbol table of an ELF file (`.symtab`). A program that librdkafka is linked into exports none of its functions
 * to the dynamic linker, but unless it was stripped its file still says where they are. */
#ifndef JG_PLUGIN_SYMTAB_H
#define JG_PLUGIN_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct jg_symbol {
    char *name;
    uintptr_t address; /* in this process */
    size_t size_bytes;
};

/* By name. `init` by zeros. */
struct jg_symtab {
    struct jg_symbol *symbols;
    size_t count;
};

/* Read the functions whose names begin with `prefix` from the file of the loaded object that holds the code at
 * `address`. JG_ENOENT: it has none: it was stripped, or its file cannot be read, or is another one by now (`error`
 * says which). Thread: any; reads a file. On success the caller owns `out`. */
JG_MUST_USE enum jg_err jg_symtab_read(const void *address, const char *prefix, struct jg_symtab *out,
                                       struct jg_error *error);

/* NULL: no such function. Borrowed. */
const struct jg_symbol *jg_symtab_find(const struct jg_symtab *table, const char *name);

void jg_symtab_clear(struct jg_symtab *table);

/* Has the ELF file a section of that name? Any thread; reads the file. */
JG_MUST_USE bool jg_symtab_has_section(const char *path, const char *section);

#endif
