/* What a client asks for in its headers. */
#ifndef EXPORTER_ACCEPT_H
#define EXPORTER_ACCEPT_H

#include <stdbool.h>

/* accept: the header, NULL: none.  False: rather the classic format than OpenMetrics. */
bool accept_openmetrics(const char *accept);

/* host: the Host header, NULL: none.  Does it name an address or localhost, and no other name?  A name
 * that somebody made point here would let a foreign page in a browser read what is served. */
bool accept_host(const char *host);

#endif
