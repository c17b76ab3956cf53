#include "daemon/store.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/notify.h"

#define FIRST_FD 3 /* of those that a manager passes */
#define FDS_MAX	 64

#define REGIONS 4

static const char *const names[REGIONS] = {"slabd-state", "slabd-catalog", "slabd-depot",
					   "slabd-heap"};

static int *region_of(struct backing *b, unsigned i)
{
	int *const fds[REGIONS] = {&b->state, &b->catalog, &b->depot, &b->heap};

	return fds[i];
}

static bool is_listener(int fd)
{
	int type = 0, listens = 0;
	socklen_t n = sizeof(type), m = sizeof(listens);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &m) == 0 && listens;
}

/* One descriptor to where it belongs; a second of the same name is as good as none. */
static void take_one(struct backing *regions, int *listener, int fd, const char *name)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	for (unsigned i = 0; i < REGIONS; i++)
		if (strcmp(name, names[i]) == 0 && *region_of(regions, i) < 0) {
			*region_of(regions, i) = fd;
			return;
		}
	if (*listener < 0 && is_listener(fd)) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		*listener = fd;
		return;
	}
	log_warning("descriptor %d (\"%.32s\") from the service manager is of no use: closed", fd,
		    name);
	close(fd);
}

/* The manager would give back what it has with every start. */
static void forget_all(void)
{
	char text[96];

	for (unsigned i = 0; i < REGIONS; i++) {
		snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", names[i]);
		notify_send(text);
	}
}

void store_take(struct backing *regions, int *listener)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const char *list = getenv("LISTEN_FDNAMES");
	char text[1024], *rest = text;
	unsigned n = count ? (unsigned)strtoul(count, NULL, 10) : 0, found = 0;

	*regions = (struct backing){.state = -1, .catalog = -1, .depot = -1, .heap = -1};
	*listener = -1;
	if (!pid || strtol(pid, NULL, 10) != getpid() || n > FDS_MAX)
		n = 0;
	snprintf(text, sizeof(text), "%s", list ? list : "");
	for (unsigned i = 0; i < n; i++) {
		const char *name = strsep(&rest, ":");

		take_one(regions, listener, FIRST_FD + (int)i, name ? name : "");
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	for (unsigned i = 0; i < REGIONS; i++)
		found += *region_of(regions, i) >= 0;
	if (found && found < REGIONS) {
		log_warning("the service manager kept %u of %u regions: a new segment is made",
			    found, REGIONS);
		backing_close(regions);
		forget_all();
	}
}

void store_keep(const struct backing *backing)
{
	struct backing b = *backing;
	char text[96];

	for (unsigned i = 0; i < REGIONS; i++) {
		snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", names[i]);
		notify_send_fd(text, *region_of(&b, i));
	}
}
