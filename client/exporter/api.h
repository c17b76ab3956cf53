/* A sample as the page's JSON. */
#ifndef EXPORTER_API_H
#define EXPORTER_API_H

#include "client/exporter/sample.h"

/* The whole document, the caller's to free; NULL: no memory. */
char *api_text(const struct sample *sample);

#endif
