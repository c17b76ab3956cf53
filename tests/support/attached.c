#include "tests/support/attached.h"

struct daemon_fixture d;
struct slabd *slabd;
_Atomic unsigned reports;

static void on_report(const char *message, void *arg)
{
	(void)arg;
	fprintf(stderr, "%s\n", message);
	reports++;
}

void attached_start(void)
{
	daemon_start(&d, NULL);
	slabd = attach_to(d.socket);
	slabd_set_error_handler(on_report, NULL);
}

void attached_stop(void)
{
	slabd_detach(slabd);
	daemon_audit(&d);
	daemon_stop(&d);
}
