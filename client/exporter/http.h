/* The web server: what it serves, to whom, and within which limits.  Only here is libevent. */
#ifndef EXPORTER_HTTP_H
#define EXPORTER_HTTP_H

#include <stddef.h>

#include "client/exporter/sample.h"

/* Listens at ADDR:PORT, says where on stdout, and serves until SIGTERM or SIGINT.  Gives an exit code;
 * what failed was said on stderr. */
int http_serve(struct sampler *sampler, const char *listen);

#endif
