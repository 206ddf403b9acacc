/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/symtab.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_BYTES (1u << 30) /* of one part of a file */

/* The loaded object, as the dynamic linker knows it. */
struct object {
    uintptr_t address; /* in: of some code of it */
    bool found;
    uintptr_t bias; /* what is added to the addresses in its file */
    const ElfW(Phdr) * phdrs;
    size_t phdr_count;
    char path[4096];
};

static bool
holds(const struct dl_phdr_info *info, uintptr_t address)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + phdr->p_vaddr;
        if (phdr->p_type == PT_LOAD && address >= begin && address - begin < phdr->p_memsz)
            return true;
    }
    return false;
}

static int
look_at_object(struct dl_phdr_info *info, size_t size, void *opaque)
{
    struct object *object = opaque;
    (void)size;
    if (!holds(info, object->address))
        return 0;
    object->found = true;
    object->bias = info->dlpi_addr;
    object->phdrs = info->dlpi_phdr;
    object->phdr_count = info->dlpi_phnum;
    /* The main program has no name here. */
    snprintf(object->path, sizeof object->path, "%s",
             info->dlpi_name && info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe");
    return 1;
}

/* A part of the file, to be freed. NULL: it is not there, or too large. */
static void *
read_part(int fd, uint64_t offset, uint64_t size_bytes)
{
    if (size_bytes == 0 || size_bytes > MOST_BYTES || offset > INT64_MAX - size_bytes)
        return NULL;
    char *part = malloc(size_bytes + 1);
    size_t done = 0;
    while (part && done < size_bytes) {
        ssize_t got = pread(fd, part + done, size_bytes - done, (off_t)(offset + done));
        if (got <= 0) {
            free(part);
            return NULL;
        }
        done += (size_t)got;
    }
    if (part)
        part[size_bytes] = '\0';
    return part;
}

/* Is it what was loaded? It may have been replaced since. Notes hold the build id. */
static bool
is_what_was_loaded(int fd, const ElfW(Ehdr) * header, const struct object *object)
{
    size_t size_bytes = object->phdr_count * sizeof(ElfW(Phdr));
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phentsize != sizeof(ElfW(Phdr)) ||
        header->e_phnum != object->phdr_count)
        return false;
    ElfW(Phdr) *phdrs = read_part(fd, header->e_phoff, size_bytes);
    bool same = phdrs && memcmp(phdrs, object->phdrs, size_bytes) == 0;
    for (size_t i = 0; same && i < object->phdr_count; i++) {
        if (phdrs[i].p_type != PT_NOTE)
            continue;
        void *note = read_part(fd, phdrs[i].p_offset, phdrs[i].p_filesz);
        uintptr_t loaded = object->bias + phdrs[i].p_vaddr;
        same = note && memcmp(note, (const void *)loaded, phdrs[i].p_filesz) == 0;
        free(note);
    }
    free(phdrs);
    return same;
}

static bool
is_wanted(const ElfW(Sym) * symbol, const char *names, uint64_t names_bytes, const char *prefix)
{
    return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
           symbol->st_name < names_bytes && strncmp(names + symbol->st_name, prefix, strlen(prefix)) == 0;
}

static int
compare(const void *left, const void *right)
{
    return strcmp(((const struct jg_symbol *)left)->name, ((const struct jg_symbol *)right)->name);
}

static enum jg_err
take_symbols(const ElfW(Sym) * symbols, size_t count, const char *names, uint64_t names_bytes, uintptr_t bias,
             const char *prefix, struct jg_symtab *out)
{
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++)
        wanted += is_wanted(&symbols[i], names, names_bytes, prefix);
    out->symbols = calloc(wanted + 1, sizeof *out->symbols);
    if (!out->symbols)
        return JG_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!is_wanted(&symbols[i], names, names_bytes, prefix))
            continue;
        struct jg_symbol *symbol = &out->symbols[out->count];
        symbol->name = strdup(names + symbols[i].st_name);
        if (!symbol->name)
            return JG_ENOMEM;
        symbol->address = bias + symbols[i].st_value;
        symbol->size_bytes = symbols[i].st_size;
        out->count++;
    }
    qsort(out->symbols, out->count, sizeof *out->symbols, compare);
    return out->count ? JG_OK : JG_ENOENT;
}

static ElfW(Shdr) * read_section_table(int fd, const ElfW(Ehdr) * header)
{
    bool usual = header->e_shentsize == sizeof(ElfW(Shdr));
    return usual ? read_part(fd, header->e_shoff, header->e_shnum * sizeof(ElfW(Shdr))) : NULL;
}

/* The table and the names that belong to it. */
static enum jg_err
read_sections(int fd, const ElfW(Ehdr) * header, uintptr_t bias, const char *prefix, struct jg_symtab *out)
{
    size_t count = header->e_shnum;
    ElfW(Shdr) *sections = read_section_table(fd, header);
    enum jg_err err = JG_ENOENT;
    for (size_t i = 0; sections && i < count && err == JG_ENOENT; i++) {
        const ElfW(Shdr) *table = &sections[i];
        if (table->sh_type != SHT_SYMTAB || table->sh_link >= count)
            continue;
        const ElfW(Shdr) *strings = &sections[table->sh_link];
        ElfW(Sym) *symbols = read_part(fd, table->sh_offset, table->sh_size);
        char *names = read_part(fd, strings->sh_offset, strings->sh_size);
        if (symbols && names)
            err = take_symbols(symbols, table->sh_size / sizeof *symbols, names, strings->sh_size, bias, prefix, out);
        free(symbols);
        free(names);
        if (err != JG_OK)
            jg_symtab_clear(out);
    }
    free(sections);
    return err;
}

static enum jg_err
read_file(int fd, const struct object *object, const char *prefix, struct jg_symtab *out, struct jg_error *error)
{
    ElfW(Ehdr) *header = read_part(fd, 0, sizeof *header);
    enum jg_err err = JG_ENOENT;
    if (!header || !is_what_was_loaded(fd, header, object))
        snprintf(error->text, sizeof error->text,
                 "this program's file was replaced since it was started: start it again");
    else if ((err = read_sections(fd, header, object->bias, prefix, out)) == JG_ENOENT)
        snprintf(error->text, sizeof error->text,
                 "this program was stripped: do not strip it (Go: no -ldflags \"-s -w\"; Rust: strip = false)");
    free(header);
    return err;
}

enum jg_err
jg_symtab_read(const void *address, const char *prefix, struct jg_symtab *out, struct jg_error *error)
{
    struct object object = {.address = (uintptr_t)address};
    *out = (struct jg_symtab){.count = 0};
    if (!dl_iterate_phdr(look_at_object, &object)) {
        snprintf(error->text, sizeof error->text, "the dynamic linker does not know this program");
        return JG_ENOENT;
    }
    int fd = open(object.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error->text, sizeof error->text, "this program's file cannot be read");
        return JG_ENOENT;
    }
    enum jg_err err = read_file(fd, &object, prefix, out, error);
    close(fd);
    return err;
}

const struct jg_symbol *
jg_symtab_find(const struct jg_symtab *table, const char *name)
{
    const struct jg_symbol wanted = {.name = (char *)(uintptr_t)name};
    return table->count ? bsearch(&wanted, table->symbols, table->count, sizeof wanted, compare) : NULL;
}

void
jg_symtab_clear(struct jg_symtab *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->symbols[i].name);
    free(table->symbols);
    *table = (struct jg_symtab){.count = 0};
}

bool
jg_symtab_has_section(const char *path, const char *section)
{
    bool has = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ElfW(Ehdr) *header = read_part(fd, 0, sizeof *header);
    bool elf = header && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0;
    ElfW(Shdr) *sections = elf ? read_section_table(fd, header) : NULL;
    const ElfW(Shdr) *strings = sections && header->e_shstrndx < header->e_shnum ? &sections[header->e_shstrndx] : NULL;
    char *names = strings ? read_part(fd, strings->sh_offset, strings->sh_size) : NULL;
    for (size_t i = 0; names && !has && i < header->e_shnum; i++)
        has = sections[i].sh_name < strings->sh_size && strcmp(names + sections[i].sh_name, section) == 0;
    free(names);
    free(sections);
    free(header);
    close(fd);
    return has;
}
