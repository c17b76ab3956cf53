#include "client/slabctl/doctor.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "client/slabctl/texts.h"

#define KERNEL_MAJOR  5
#define KERNEL_MINOR  14
#define HUGE_BYTES    (UINT64_C(2) << 20)
#define SIZE_DEFAULT  (UINT64_C(1) << 30) /* slabd's --size */
#define FILES_BEYOND  256		  /* descriptors of slabd besides two a client */
#define MIB(bytes)    ((unsigned long long)((bytes) >> 20))
#define NUMBER(value) ((unsigned long long)(value))

void doctor_kernel(struct findings *findings)
{
	struct utsname name = {0};
	unsigned major = 0, minor = 0;

	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		finding_add(findings, VERDICT_OK, "kernel", "Linux %s", name.release);
	else
		finding_add(findings, VERDICT_FAIL, "kernel", TEXT_DOCTOR_KERNEL, name.release,
			    KERNEL_MAJOR, KERNEL_MINOR);
}

/* ---------------------------------------------------------------- hugepages */

static uint64_t heap_of(const struct patient *patient)
{
	return patient->answers ? patient->status.heap_bytes : SIZE_DEFAULT;
}

/* What a restarted slabd would find; the heap that runs has its pages already. */
static void judge_pool(struct findings *findings, const struct patient *patient,
		       enum verdict verdict, const char *now)
{
	const struct host *host = &patient->host;
	uint64_t heap = heap_of(patient), need = heap / HUGE_BYTES;
	const struct host_limit *limit = &host->hugetlb;

	if (host->huge_free < need) {
		finding_add(findings, verdict, "hugepages", TEXT_DOCTOR_HUGE_POOL, now,
			    NUMBER(host->huge_free), NUMBER(need), MIB(heap));
		finding_mend(findings, "sysctl vm.nr_hugepages=%llu",
			     NUMBER(host->huge_total + need - host->huge_free));
	} else if (limit->is && limit->most < limit->used + heap) {
		finding_add(findings, verdict, "hugepages", TEXT_DOCTOR_HUGE_CGROUP, now,
			    NUMBER(host->huge_free), NUMBER(need), MIB(limit->most), limit->file,
			    MIB(limit->used));
		finding_mend(findings, "echo %llu > %s", NUMBER(limit->used + heap), limit->file);
	} else {
		finding_add(findings, patient->answers ? verdict : VERDICT_OK, "hugepages",
			    TEXT_DOCTOR_HUGE_FREE, now, NUMBER(host->huge_free), NUMBER(need),
			    MIB(heap));
		if (patient->answers)
			finding_mend(findings,
				     "slabd --hugepages=prefer, after this one was ended");
	}
}

static void as_asked(struct findings *findings, const struct patient *patient)
{
	finding_add(findings, VERDICT_NOTE, "hugepages", "%s", patient->status.backing_why);
	finding_mend(findings, "slabd --hugepages=prefer");
}

void doctor_hugepages(struct findings *findings, const struct patient *patient)
{
	const char *backing = patient->status.backing;
	unsigned long long heap = MIB(heap_of(patient));

	if (!patient->answers)
		judge_pool(findings, patient, VERDICT_NOTE, TEXT_DOCTOR_NO_HEAP);
	else if (strcmp(backing, "hugetlb") == 0)
		finding_add(findings, VERDICT_OK, "hugepages", TEXT_DOCTOR_HUGE_OK, heap);
	else if (strstr(patient->status.backing_why, "hugepages=never"))
		as_asked(findings, patient);
	else if (strcmp(backing, "thp") == 0)
		judge_pool(findings, patient, VERDICT_NOTE, TEXT_DOCTOR_THP);
	else if (strcmp(backing, "pages") == 0)
		judge_pool(findings, patient, VERDICT_NOTE, TEXT_DOCTOR_PAGES);
	else
		finding_add(findings, VERDICT_OK, "hugepages", TEXT_DOCTOR_FILES, heap, backing);
}

/* ---------------------------------------------------------------- memory, files */

void doctor_memory(struct findings *findings, const struct patient *patient)
{
	const struct host_limit *limit = &patient->host.memory;
	const struct status_row *s = &patient->status;
	uint64_t heap = heap_of(patient), has = 0, want;

	if (patient->answers) /* what it holds is counted in the cgroup already */
		has = s->memory_bytes < heap ? s->memory_bytes : heap;
	want = heap - has;
	if (!limit->is) {
		finding_add(findings, VERDICT_OK, "memory", TEXT_DOCTOR_MEMORY_FREE);
		return;
	}
	if (patient->answers && strcmp(s->backing, "hugetlb") == 0)
		want = 0; /* hugetlb pages are not counted there */
	if (limit->used + want <= limit->most) {
		finding_add(findings, VERDICT_OK, "memory", TEXT_DOCTOR_MEMORY_OK, MIB(limit->most),
			    limit->file, MIB(limit->used));
		return;
	}
	finding_add(findings, VERDICT_NOTE, "memory", TEXT_DOCTOR_MEMORY, MIB(limit->most),
		    limit->file, MIB(limit->used), MIB(want), MIB(heap));
	finding_mend(findings, "echo %llu > %s", NUMBER(limit->used + want), limit->file);
}

void doctor_files(struct findings *findings, const struct patient *patient)
{
	uint64_t clients = patient->answers ? patient->status.max_clients : LIMIT_CLIENTS;
	uint64_t need = 2 * clients + FILES_BEYOND, soft, hard;
	int pid = patient->answers ? (int)patient->status.pid : 0;

	if (!host_files("", pid, &soft, &hard)) {
		finding_add(findings, VERDICT_NOTE, "files", TEXT_DOCTOR_NO_LIMITS, pid);
		return;
	}
	/* one that is not there yet raises the soft limit by itself */
	if ((pid ? soft : hard) >= need) {
		finding_add(findings, VERDICT_OK, "files", TEXT_DOCTOR_OPEN_OK,
			    NUMBER(pid ? soft : hard), NUMBER(need), NUMBER(clients));
		return;
	}
	finding_add(findings, VERDICT_NOTE, "files", TEXT_DOCTOR_OPEN, NUMBER(pid ? soft : hard),
		    NUMBER(need), NUMBER(clients));
	if (pid)
		finding_mend(findings, "prlimit --pid %d --nofile=%llu", pid, NUMBER(need));
	else
		finding_mend(findings, "ulimit -Hn %llu", NUMBER(need));
}
