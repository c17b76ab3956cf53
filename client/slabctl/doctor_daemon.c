#include "client/slabctl/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"
#include "proto/version.h"

#define NEAR_PERCENT  90
#define LOOP_RESTARTS 3	    /* fewer are no loop */
#define LOOP_MS	      60000 /* nor is one whose worker has lived so long */
#define SYSTEM_SOCKET "/run/slabd/slabd.sock"
#define NUMBER(value) ((unsigned long long)(value))

/* ---------------------------------------------------------------- the socket */

/* The pid that a slabd leaves in its lock file; 0: none, or it is gone, and the pid may be another's. */
static int find_keeper(const char *socket)
{
	char path[160];
	uint64_t pid;

	snprintf(path, sizeof(path), "%s.lock", socket);
	if (!host_number("", path, &pid) || !host_is_named("", (int)pid, "slabd"))
		return 0;
	return (int)pid;
}

static void mend_by_start(struct findings *findings, const char *socket)
{
	if (strcmp(socket, SYSTEM_SOCKET) == 0 && access("/run/systemd/system", F_OK) == 0)
		finding_mend(findings, "systemctl start slabd");
	else
		finding_mend(findings, "slabd --socket %s", socket);
}

static const char *user_name(uid_t uid, char text[64])
{
	const struct passwd *user = getpwuid(uid);

	snprintf(text, 64, "%u", uid);
	return user ? user->pw_name : text;
}

static const char *group_name(gid_t gid, char text[64])
{
	const struct group *group = getgrgid(gid);

	snprintf(text, 64, "%u", gid);
	return group ? group->gr_name : text;
}

static void no_permission(struct findings *findings, const char *socket, const struct stat *st)
{
	char a[64], b[64], c[64];
	const char *owner = user_name(st->st_uid, a), *group = group_name(st->st_gid, b);

	finding_add(findings, VERDICT_FAIL, "socket", TEXT_DOCTOR_FORBIDDEN, socket, owner, group,
		    st->st_mode & 07777, geteuid());
	if ((st->st_mode & 0060) == 0060)
		finding_mend(findings, "usermod -aG %s %s", group, user_name(geteuid(), c));
	else
		finding_mend(findings, "chmod g+rw %s", socket);
}

void doctor_socket(struct findings *findings, struct patient *patient)
{
	const char *socket = patient->query->address.socket;
	char a[64], b[64];
	struct stat st;

	patient->keeper = find_keeper(socket);
	if (stat(socket, &st) < 0) {
		finding_add(findings, VERDICT_FAIL, "socket", TEXT_DOCTOR_NO_SOCKET, socket,
			    strerror(errno));
		if (errno == ENOENT || errno == ENOTDIR)
			mend_by_start(findings, socket);
	} else if (!S_ISSOCK(st.st_mode)) {
		finding_add(findings, VERDICT_FAIL, "socket", TEXT_DOCTOR_OTHER_FILE, socket);
		finding_mend(findings, "slabctl doctor --address SOCKET");
	} else if (faccessat(AT_FDCWD, socket, R_OK | W_OK, AT_EACCESS) < 0) {
		no_permission(findings, socket, &st);
	} else {
		patient->listens = true;
		finding_add(findings, VERDICT_OK, "socket", TEXT_DOCTOR_SOCKET, socket,
			    user_name(st.st_uid, a), group_name(st.st_gid, b), st.st_mode & 07777);
	}
}

/* ---------------------------------------------------------------- the daemon */

/* It is there and says nothing: who of the two is to blame? */
static void explain_silence(struct findings *findings, const struct patient *patient)
{
	int worker = host_child("", patient->keeper);

	if (host_state("", patient->keeper) == 'T') {
		finding_add(findings, VERDICT_FAIL, "daemon", TEXT_DOCTOR_STOPPED, "keeper",
			    patient->keeper);
		if (worker && host_state("", worker) == 'T')
			finding_mend(findings, "kill -CONT %d %d", patient->keeper, worker);
		else
			finding_mend(findings, "kill -CONT %d", patient->keeper);
	} else if (worker && host_state("", worker) == 'T') {
		finding_add(findings, VERDICT_FAIL, "daemon", TEXT_DOCTOR_STOPPED, "worker",
			    worker);
		finding_mend(findings, "kill -CONT %d", worker);
	} else if (patient->keeper && host_age_ms("", worker) < LOOP_MS) {
		finding_add(findings, VERDICT_FAIL, "daemon", TEXT_DOCTOR_CRASHING, patient->keeper,
			    patient->query->timeout_ms);
		finding_mend(findings, "journalctl -u slabd, or where its stderr goes");
	} else {
		finding_add(findings, VERDICT_FAIL, "daemon", "%s", patient->query->why);
	}
}

void doctor_daemon(struct findings *findings, struct patient *patient)
{
	struct query *query = patient->query;
	const char *version = query->version;
	int code = query_open(query);

	if (!code)
		code = query_status(query, &patient->status);
	patient->answers = !code;
	if (patient->listens &&
	    (code == EXIT_TIMEOUT || (code == EXIT_UNREACHABLE && patient->keeper)))
		explain_silence(findings, patient);
	else if (code)
		finding_add(findings, VERDICT_FAIL, "daemon", "%s", query->why);
	if (code == EXIT_UNREACHABLE && !(patient->listens && patient->keeper))
		mend_by_start(findings, query->address.socket);
	if (code)
		return;
	if (strcmp(version, SLABD_VERSION_STRING) == 0) {
		finding_add(findings, VERDICT_OK, "daemon", TEXT_DOCTOR_ANSWERS, version,
			    NUMBER(patient->status.pid));
		return;
	}
	finding_add(findings, VERDICT_NOTE, "daemon", TEXT_DOCTOR_VERSION, version,
		    SLABD_VERSION_STRING);
}

/* ---------------------------------------------------------------- the pool */

static void judge_restarts(struct findings *findings, const struct patient *patient)
{
	const struct status_row *s = &patient->status;
	uint64_t age = host_age_ms("", (int)s->pid);
	bool young = age ? age < LOOP_MS : s->uptime_ms / (s->worker_restarts + 1) < LOOP_MS;
	char text[UNITS_BYTES];

	if (!s->worker_restarts) {
		finding_add(findings, VERDICT_OK, "restarts", TEXT_DOCTOR_NO_RESTART);
		return;
	}
	finding_add(findings,
		    s->worker_restarts >= LOOP_RESTARTS && young ? VERDICT_FAIL : VERDICT_NOTE,
		    "restarts", TEXT_DOCTOR_RESTARTS, NUMBER(s->worker_restarts),
		    s->worker_restarts == 1 ? "" : "s", output_duration(text, s->uptime_ms));
	finding_mend(findings, "slabctl events, journalctl -u slabd");
}

static void judge_limit(struct findings *findings, const char *what, const char *unit,
			uint64_t used, uint64_t most, const char *command)
{
	bool near = used * 100 >= most * NEAR_PERCENT;

	finding_add(findings, near ? VERDICT_NOTE : VERDICT_OK, what,
		    near ? TEXT_DOCTOR_NEAR : TEXT_DOCTOR_FAR, NUMBER(used), NUMBER(most), unit);
	if (near)
		finding_mend(findings, "%s", command);
}

static void judge_orphans(struct findings *findings, const struct patient *patient)
{
	struct list orphans = {0};
	uint64_t objects = 0, bytes = 0, freed;
	char size[UNITS_BYTES];
	int code = query_orphans(patient->query, NULL, false, &orphans, &freed);
	const struct orphan_row *rows = orphans.rows;

	for (size_t i = 0; i < orphans.n; i++) {
		objects += rows[i].objects;
		bytes += rows[i].bytes;
	}
	free(orphans.rows);
	if (code) {
		finding_add(findings, VERDICT_NOTE, "orphans", "%s", patient->query->why);
	} else if (!objects) {
		finding_add(findings, VERDICT_OK, "orphans", TEXT_DOCTOR_NO_ORPHANS);
	} else {
		finding_add(findings, VERDICT_NOTE, "orphans", TEXT_DOCTOR_ORPHANS, NUMBER(objects),
			    output_bytes(size, bytes));
		finding_mend(findings, "slabctl orphans --free");
	}
}

void doctor_pool(struct findings *findings, const struct patient *patient)
{
	const struct status_row *s = &patient->status;

	if (s->damaged) {
		finding_add(findings, VERDICT_FAIL, "segment", TEXT_DAMAGED_POOL);
		finding_mend(findings, "restart slabd and its clients");
	} else {
		finding_add(findings, VERDICT_OK, "segment", TEXT_DOCTOR_WHOLE);
	}
	judge_restarts(findings, patient);
	judge_limit(findings, "heap", "MiB of the heap in use", s->heap_used_bytes >> 20,
		    s->heap_bytes >> 20, "slabctl shrink --all; or slabd with a larger --size");
	judge_limit(findings, "caches", "caches", s->caches, s->max_caches,
		    "slabd --set max-caches=N");
	judge_limit(findings, "clients", "clients", s->clients, s->max_clients,
		    "slabd --set max-clients=N");
	judge_orphans(findings, patient);
}
