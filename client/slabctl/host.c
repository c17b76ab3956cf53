#include "client/slabctl/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HUGE_POOL  "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define UNLIMITED  (UINT64_C(1) << 62) /* cgroup v1 says so by a huge number */
#define TEXT_BYTES 4096

/* A small file as text; false if it can't be read. */
static bool read_text(const char *root, const char *path, char text[TEXT_BYTES])
{
	char name[512];
	FILE *file;
	size_t n;

	snprintf(name, sizeof(name), "%s%s", root, path);
	file = fopen(name, "re");
	if (!file)
		return false;
	n = fread(text, 1, TEXT_BYTES - 1, file);
	fclose(file);
	text[n] = 0;
	return true;
}

bool host_number(const char *root, const char *path, uint64_t *ret)
{
	char text[TEXT_BYTES], *end;

	if (!read_text(root, path, text))
		return false;
	*ret = strtoull(text, &end, 10);
	return end != text;
}

/* ---------------------------------------------------------------- cgroups */

/* Where the limits of a controller stand in both versions of cgroups. */
struct controller {
	const char *name; /* of v1; v2 has one tree for all */
	const char *most[2], *used[2];
};

static const struct controller hugetlb = {
	"hugetlb",
	{"hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes"},
	{"hugetlb.2MB.current", "hugetlb.2MB.usage_in_bytes"},
};

static const struct controller memory = {
	"memory",
	{"memory.max", "memory.limit_in_bytes"},
	{"memory.current", "memory.usage_in_bytes"},
};

static uint64_t room(const struct host_limit *limit)
{
	return limit->most > limit->used ? limit->most - limit->used : 0;
}

/* One cgroup's limit, if it is tighter than what was found. */
static void look_at(struct host_limit *ret, const char *root, const char *directory,
		    const struct controller *controller, unsigned version)
{
	struct host_limit found = {.is = true};
	char path[512];

	snprintf(found.file, sizeof(found.file), "%.200s/%s", directory, controller->most[version]);
	if (!host_number(root, found.file, &found.most) || found.most >= UNLIMITED)
		return; /* "max" is no number */
	snprintf(path, sizeof(path), "%.200s/%s", directory, controller->used[version]);
	host_number(root, path, &found.used);
	if (!ret->is || room(&found) < room(ret))
		*ret = found;
}

/* A cgroup and all above it. */
static void climb(struct host_limit *ret, const char *root, const char *mount, const char *group,
		  const struct controller *controller, unsigned version)
{
	char directory[512], *slash;
	size_t top = strlen(mount);

	snprintf(directory, sizeof(directory), "%s%.400s", mount, group);
	while (strlen(directory) > top && directory[strlen(directory) - 1] == '/')
		directory[strlen(directory) - 1] = 0;
	for (;;) {
		look_at(ret, root, directory, controller, version);
		slash = strrchr(directory, '/');
		if (!slash || slash < directory + top)
			return;
		*slash = 0;
	}
}

/* Is the controller among those of a line of /proc/PID/cgroup: "4:cpu,memory:/group"? */
static bool is_listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (; list; list = strchr(list, ','), list = list ? list + 1 : NULL)
		if (strncmp(list, name, n) == 0 && (!list[n] || list[n] == ','))
			return true;
	return false;
}

static void find_limit(struct host_limit *ret, const char *root, char *lines,
		       const struct controller *controller)
{
	char *save = NULL;

	for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
		char mount[64];

		if (!group)
			continue;
		*group++ = 0;
		list++;
		snprintf(mount, sizeof(mount), "/sys/fs/cgroup%s%s", *list ? "/" : "",
			 *list ? controller->name : "");
		if (!*list || is_listed(list, controller->name))
			climb(ret, root, mount, group, controller, *list ? 1 : 0);
	}
}

/* ---------------------------------------------------------------- the machine */

void host_look(struct host *ret, const char *root, int pid)
{
	char path[64] = "/proc/self/cgroup", text[TEXT_BYTES], copy[TEXT_BYTES];
	uint64_t reserved = 0;

	*ret = (struct host){.root = root};
	host_number(root, HUGE_POOL "nr_hugepages", &ret->huge_total);
	host_number(root, HUGE_POOL "free_hugepages", &ret->huge_free);
	host_number(root, HUGE_POOL "resv_hugepages", &reserved);
	ret->huge_free = ret->huge_free > reserved ? ret->huge_free - reserved : 0;
	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (!read_text(root, path, text))
		return;
	memcpy(copy, text, sizeof(copy));
	find_limit(&ret->hugetlb, root, copy, &hugetlb);
	find_limit(&ret->memory, root, text, &memory);
}

/* ---------------------------------------------------------------- processes */

bool host_files(const char *root, int pid, uint64_t *soft, uint64_t *hard)
{
	char path[64] = "/proc/self/limits", text[TEXT_BYTES], words[2][32];
	const char *at;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	at = read_text(root, path, text) ? strstr(text, "Max open files") : NULL;
	if (!at || sscanf(at, "Max open files %31s %31s", words[0], words[1]) != 2)
		return false;
	*soft = *words[0] == 'u' ? UINT64_MAX : strtoull(words[0], NULL, 10);
	*hard = *words[1] == 'u' ? UINT64_MAX : strtoull(words[1], NULL, 10);
	return true;
}

/* Behind the name, which may hold anything: its state is field 3. */
static const char *read_stat(const char *root, int pid, char text[TEXT_BYTES])
{
	char path[64];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	at = pid > 0 && read_text(root, path, text) ? strrchr(text, ')') : NULL;
	return at && at[1] == ' ' ? at + 2 : NULL;
}

char host_state(const char *root, int pid)
{
	char text[TEXT_BYTES];
	const char *at = read_stat(root, pid, text);

	return at ? *at : 0;
}

bool host_is_named(const char *root, int pid, const char *comm)
{
	char path[64], text[TEXT_BYTES];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (pid <= 0 || !read_text(root, path, text))
		return false;
	text[strcspn(text, "\n")] = 0;
	return strcmp(text, comm) == 0;
}

uint64_t host_age_ms(const char *root, int pid)
{
	char text[TEXT_BYTES], up[TEXT_BYTES];
	const char *at = read_stat(root, pid, text);
	uint64_t began, now;

	for (unsigned field = 3; at && field < 22; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (!at || !read_text(root, "/proc/uptime", up))
		return 0;
	began = strtoull(at, NULL, 10) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	now = (uint64_t)(strtod(up, NULL) * 1000);
	return now > began ? now - began : 0;
}

int host_child(const char *root, int pid)
{
	char path[64];
	uint64_t child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	return pid > 0 && host_number(root, path, &child) ? (int)child : 0;
}
