/* slabd-exporter: slabd's figures over HTTP.  The data go from sample.c (asks slabd) through metrics.c
 * or api.c (writes them) to http.c (serves them); the page at / is page.html, page.css and page.js. */
#include <stdio.h>
#include <sys/prctl.h>

#include "client/exporter/http.h"
#include "client/exporter/options.h"
#include "client/exporter/sample.h"
#include "client/slabctl/exits.h"

int main(int argc, char **argv)
{
	static struct sampler sampler;
	struct options options;
	int code;

	options_parse(&options, argc, argv);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	code = sampler_init(&sampler, options.address, options.timeout_ms);
	if (code)
		fprintf(stderr, "slabd-exporter: %s\n", sampler.query.why);
	else
		code = http_serve(&sampler, options.listen);
	sampler_deinit(&sampler);
	return code;
}
