/* SPDX-License-Identifier: MIT */
/*
 * debug/symbols.c: which function is at an address.
 *
 * /proc/PID/maps says which part of which file lies there, and the file's symbol table how the
 * functions are called: .symtab, which has static ones too, else what the file exports. The writer
 * is a fork of the program, so its own map tells of all that was loaded before it began; of what
 * was loaded later, and of processes that have run the program again, the map of the process does,
 * while that lives. What cannot be found out is told as an address.
 *
 * The files are the user's and may be anything: whatever is read from them is checked first.
 */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debug/symbols.h"

/* A place in a file. */
struct place {
    uint64_t offset;
    char path[512];
};

struct image {
    const char *bytes;
    uint64_t size;
};

static bool parse_line(const char *line, uint64_t address, struct place *ret)
{
    uint64_t begin, end, offset;
    char rights[5];
    int path_at = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &begin, &end, rights,
               &offset, &path_at) < 4)
        return false;
    if (address < begin || address >= end || !path_at || line[path_at] != '/')
        return false;
    snprintf(ret->path, sizeof ret->path, "%s", line + path_at);
    ret->path[strcspn(ret->path, "\n")] = '\0';
    ret->offset = address - begin + offset;
    return true;
}

/* pid: 0: of this process. */
static bool find_place(uint64_t address, pid_t pid, struct place *ret)
{
    char path[40] = "/proc/self/maps", line[700];
    if (pid)
        snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    bool found = false;
    while (maps && !found && fgets(line, sizeof line, maps))
        found = parse_line(line, address, ret);
    if (maps)
        fclose(maps);
    return found;
}

static bool map_file(const char *path, struct image *ret)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    void *bytes = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (bytes == MAP_FAILED)
        return false;
    *ret = (struct image){ bytes, (uint64_t)status.st_size };
    return true;
}

/* n things of a size at an offset of the file; NULL: they are not all there, or not aligned. */
static const void *part(const struct image *image, uint64_t offset, uint64_t n, uint64_t size)
{
    bool inside = offset <= image->size && size && n <= (image->size - offset) / size;
    return inside && offset % 8 == 0 ? image->bytes + offset : NULL;
}

static const Elf64_Ehdr *header_of(const struct image *image)
{
    const Elf64_Ehdr *header = part(image, 0, 1, sizeof *header);
    bool good = header && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
                header->e_ident[EI_CLASS] == ELFCLASS64;
    return good ? header : NULL;
}

/* The address that the file's own tables give a place in it. */
static uint64_t own_address(const struct image *image, const Elf64_Ehdr *header, uint64_t offset)
{
    const Elf64_Phdr *segments = part(image, header->e_phoff, header->e_phnum, sizeof *segments);
    for (unsigned i = 0; segments && i < header->e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && offset >= segments[i].p_offset &&
            offset - segments[i].p_offset < segments[i].p_filesz)
            return offset - segments[i].p_offset + segments[i].p_vaddr;
    return 0;
}

static bool covers(const Elf64_Sym *symbol, uint64_t address)
{
    return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
           address >= symbol->st_value &&
           (address == symbol->st_value || address - symbol->st_value < symbol->st_size);
}

/* Looks into a table of symbols. */
static bool find_in(const struct image *image, const Elf64_Shdr *table, const Elf64_Shdr *names,
                    uint64_t address, char ret_name[SYMBOL_NAME])
{
    uint64_t n = table->sh_size / sizeof(Elf64_Sym);
    const Elf64_Sym *symbols = part(image, table->sh_offset, n, sizeof *symbols);
    if (!symbols || names->sh_offset > image->size ||
        names->sh_size > image->size - names->sh_offset)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!covers(&symbols[i], address) || symbols[i].st_name >= names->sh_size)
            continue;
        const char *name = image->bytes + names->sh_offset + symbols[i].st_name;
        uint64_t room = names->sh_size - symbols[i].st_name;
        snprintf(ret_name, SYMBOL_NAME, "%.*s", (int)(room < SYMBOL_NAME ? room : SYMBOL_NAME),
                 name);
        return ret_name[0] != '\0';
    }
    return false;
}

static bool find_name(const struct image *image, uint64_t offset, char ret_name[SYMBOL_NAME])
{
    static const uint32_t types[] = { SHT_SYMTAB, SHT_DYNSYM };
    const Elf64_Ehdr *header = header_of(image);
    if (!header)
        return false;
    uint64_t address = own_address(image, header, offset);
    const Elf64_Shdr *sections = part(image, header->e_shoff, header->e_shnum, sizeof *sections);
    for (int type = 0; sections && address && type < 2; type++)
        for (unsigned i = 0; i < header->e_shnum; i++)
            if (sections[i].sh_type == types[type] && sections[i].sh_link < header->e_shnum &&
                find_in(image, &sections[i], &sections[sections[i].sh_link], address, ret_name))
                return true;
    return false;
}

static bool look_up(uint64_t address, pid_t pid, char ret_name[SYMBOL_NAME])
{
    struct place place;
    struct image image;
    if (!find_place(address, pid, &place) || !map_file(place.path, &image))
        return false;
    bool found = find_name(&image, place.offset, ret_name);
    munmap((void *)image.bytes, image.size);
    return found;
}

const char *symbol_name(struct symbols *symbols, uint64_t address, pid_t program, pid_t elsewhere)
{
    unsigned kept = symbols->count < SYMBOLS_KEPT ? symbols->count : SYMBOLS_KEPT;
    for (unsigned i = 0; i < kept; i++)
        if (symbols->kept[i].address == address && symbols->kept[i].elsewhere == elsewhere)
            return symbols->kept[i].name;
    struct symbol *symbol = &symbols->kept[symbols->count++ % SYMBOLS_KEPT];
    symbol->address = address;
    symbol->elsewhere = elsewhere;
    bool found = elsewhere
                     ? look_up(address, elsewhere, symbol->name)
                     : look_up(address, 0, symbol->name) || look_up(address, program, symbol->name);
    if (!found)
        snprintf(symbol->name, sizeof symbol->name, "0x%" PRIx64, address);
    return symbol->name;
}
