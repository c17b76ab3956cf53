/* What this machine and a process on it have: read from /proc and /sys below root, which is "" but in
 * tests.  What can't be read is 0 or not there. */
#ifndef SLABCTL_HOST_H
#define SLABCTL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The tightest limit of a process's cgroups. */
struct host_limit {
	bool is;
	uint64_t most, used; /* bytes */
	char file[320];	     /* that holds it */
};

struct host {
	const char *root;
	uint64_t huge_total, huge_free; /* pages of 2 MiB; free: those that nobody reserved */
	struct host_limit hugetlb, memory;
};

/* Of pid; 0: of this process. */
void host_look(struct host *ret, const char *root, int pid);

/* What it may open at most; false if its limits can't be read. */
bool host_files(const char *root, int pid, uint64_t *soft, uint64_t *hard);

/* T: stopped, Z: dead, ...; 0: there is no such process. */
char host_state(const char *root, int pid);
/* Is it called so? */
bool host_is_named(const char *root, int pid, const char *comm);
/* Milliseconds since it began; 0: unknown. */
uint64_t host_age_ms(const char *root, int pid);
/* Its first child; 0: none, or nobody knows. */
int host_child(const char *root, int pid);
/* The number in a file; false: none. */
bool host_number(const char *root, const char *path, uint64_t *ret);

#endif
