#include "tests/crash/crash.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern const char __executable_start[], __etext[];

struct totals *totals;
static unsigned char *hits; /* a byte an address of the text; shared by all jobs */
static const Elf64_Sym *symbols;
static size_t symbols_n;
static const char *names;

static uintptr_t base(void)
{
	return (uintptr_t)__executable_start;
}

static void read_symbols(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	const char *file;
	const Elf64_Ehdr *head;
	const Elf64_Shdr *sections;

	if (fd < 0 || fstat(fd, &st) < 0)
		die("this program can't be read");
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		die("this program can't be read");
	close(fd);
	head = (const Elf64_Ehdr *)(const void *)file;
	sections = (const Elf64_Shdr *)(const void *)(file + head->e_shoff);
	for (unsigned i = 0; i < head->e_shnum; i++) {
		if (sections[i].sh_type != SHT_SYMTAB)
			continue;
		symbols = (const Elf64_Sym *)(const void *)(file + sections[i].sh_offset);
		symbols_n = sections[i].sh_size / sizeof(*symbols);
		names = file + sections[sections[i].sh_link].sh_offset;
	}
	if (!symbols)
		die("this program was stripped: it needs its symbols");
}

void coverage_open(void)
{
	size_t bytes = (size_t)(__etext - __executable_start) + sizeof(*totals);

	read_symbols();
	totals = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (totals == MAP_FAILED)
		die("no memory");
	hits = (unsigned char *)(totals + 1);
}

bool coverage_is_text(uintptr_t pc)
{
	return pc >= base() && pc < (uintptr_t)__etext;
}

void coverage_hit(uintptr_t pc)
{
	if (coverage_is_text(pc))
		hits[pc - base()] = 1;
}

bool coverage_was_hit(unsigned long address)
{
	return address < (size_t)(__etext - __executable_start) && hits[address];
}

uintptr_t symbol_find(const char *name)
{
	for (size_t i = 0; i < symbols_n; i++)
		if (ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC &&
		    !strcmp(names + symbols[i].st_name, name))
			return base() + symbols[i].st_value;
	die("no function %s", name);
}

const char *symbol_at(uintptr_t pc, char *text, size_t bytes)
{
	uintptr_t at = pc - base();

	for (size_t i = 0; i < symbols_n; i++)
		if (ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC && symbols[i].st_value <= at &&
		    at < symbols[i].st_value + symbols[i].st_size) {
			snprintf(text, bytes, "%s+0x%lx", names + symbols[i].st_name,
				 at - symbols[i].st_value);
			return text;
		}
	snprintf(text, bytes, "0x%lx", pc);
	return text;
}
