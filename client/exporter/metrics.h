/* A sample as metrics.  docs/metrics.md explains each. */
#ifndef EXPORTER_METRICS_H
#define EXPORTER_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "client/exporter/sample.h"

/* The whole text, the caller's to free; NULL: no memory. */
char *metrics_text(const struct sample *sample, bool openmetrics, size_t *bytes);

#endif
