/* What slabctl doctor reads of a machine, against a /proc and /sys made up here.  slabctl is a program,
 * not a library: its file is taken in as it is. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/slabctl/host.c"

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static char root[256];

static void set_up(void)
{
	snprintf(root, sizeof(root), "%s/host.XXXXXX", getenv("TMPDIR"));
	cr_assert_not_null(mkdtemp(root));
}

TestSuite(host, .init = set_up);

/* A file below root, with the directories to it. */
static void put(const char *path, const char *text)
{
	char name[512];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *slash = name + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(name, 0700);
		*slash = '/';
	}
	file = fopen(name, "w");
	cr_assert_not_null(file, "%s", name);
	fputs(text, file);
	fclose(file);
}

Test(host, nothing_can_be_read)
{
	struct host host;
	uint64_t soft, hard;

	host_look(&host, root, 7);
	cr_assert_eq(host.huge_free, 0);
	cr_assert_not(host.hugetlb.is);
	cr_assert_not(host.memory.is);
	cr_assert_not(host_files(root, 7, &soft, &hard));
	cr_assert_eq(host_state(root, 7), 0);
	cr_assert_eq(host_age_ms(root, 7), 0);
	cr_assert_eq(host_child(root, 7), 0);
	cr_assert_not(host_is_named(root, 7, "slabd"));
}

Test(host, free_pages_are_those_that_nobody_reserved)
{
	struct host host;

	put(POOL "nr_hugepages", "100\n");
	put(POOL "free_hugepages", "60\n");
	put(POOL "resv_hugepages", "20\n");
	host_look(&host, root, 7);
	cr_assert_eq(host.huge_total, 100);
	cr_assert_eq(host.huge_free, 40);
	put(POOL "resv_hugepages", "70\n");
	host_look(&host, root, 7);
	cr_assert_eq(host.huge_free, 0);
}

Test(host, the_tightest_cgroup_above_counts)
{
	struct host host;

	put("/proc/7/cgroup", "0::/system.slice/slabd.service\n");
	put("/sys/fs/cgroup/system.slice/slabd.service/memory.max", "max\n");
	put("/sys/fs/cgroup/system.slice/memory.max", "1000000\n");
	put("/sys/fs/cgroup/system.slice/memory.current", "400000\n");
	put("/sys/fs/cgroup/memory.max", "900000\n");
	put("/sys/fs/cgroup/memory.current", "100000\n");
	put("/sys/fs/cgroup/system.slice/slabd.service/hugetlb.2MB.max", "4194304\n");
	put("/sys/fs/cgroup/system.slice/slabd.service/hugetlb.2MB.current", "2097152\n");
	host_look(&host, root, 7);
	cr_assert(host.memory.is);
	cr_assert_eq(host.memory.most, 1000000);
	cr_assert_eq(host.memory.used, 400000);
	cr_assert_str_eq(host.memory.file, "/sys/fs/cgroup/system.slice/memory.max");
	cr_assert(host.hugetlb.is);
	cr_assert_eq(host.hugetlb.most, 4194304);
	cr_assert_eq(host.hugetlb.used, 2097152);
}

Test(host, the_root_cgroup_of_a_container_counts)
{
	struct host host;

	put("/proc/7/cgroup", "0::/\n");
	put("/sys/fs/cgroup/memory.max", "5000\n");
	host_look(&host, root, 7);
	cr_assert(host.memory.is);
	cr_assert_eq(host.memory.most, 5000);
	cr_assert_str_eq(host.memory.file, "/sys/fs/cgroup/memory.max");
}

Test(host, cgroups_of_version_1)
{
	struct host host;

	put("/proc/7/cgroup", "12:hugetlb:/box\n4:cpu,memory:/box\n1:name=systemd:/\n0::/\n");
	put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "8000\n");
	put("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "3000\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/hugetlb/box/hugetlb.2MB.limit_in_bytes", "9223372036854771712\n");
	host_look(&host, root, 7);
	cr_assert(host.memory.is);
	cr_assert_eq(host.memory.most, 8000);
	cr_assert_eq(host.memory.used, 3000);
	cr_assert_not(host.hugetlb.is);
}

Test(host, processes)
{
	uint64_t soft, hard;

	put("/proc/7/limits", "Limit                     Soft Limit  Hard Limit  Units\n"
			      "Max cpu time              unlimited   unlimited   seconds\n"
			      "Max open files            1024        unlimited   files\n");
	put("/proc/7/comm", "slabd\n");
	put("/proc/7/stat",
	    "7 (sl) T (d) T 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 5000 9 9\n");
	put("/proc/7/task/7/children", "8 9 \n");
	put("/proc/uptime", "100.50 200.00\n");
	cr_assert(host_files(root, 7, &soft, &hard));
	cr_assert_eq(soft, 1024);
	cr_assert_eq(hard, UINT64_MAX);
	cr_assert_eq(host_state(root, 7), 'T');
	cr_assert_eq(host_age_ms(root, 7),
		     100500 - 5000ull * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
	cr_assert_eq(host_child(root, 7), 8);
	cr_assert(host_is_named(root, 7, "slabd"));
	cr_assert_not(host_is_named(root, 7, "slab"));
	put("/proc/7/stat", "7 (cut off)");
	cr_assert_eq(host_state(root, 7), 0);
	cr_assert_eq(host_age_ms(root, 7), 0);
}
