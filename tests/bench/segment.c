#include "tests/bench/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t segment_bytes(void)
{
	const char *slabctl = getenv("SLABCTL_BIN");
	char command[512], line[4096];
	uint64_t bytes = 0;
	FILE *pipe;

	snprintf(command, sizeof command, "'%s' status --json", slabctl ? slabctl : "slabctl");
	pipe = popen(command, "r");
	while (pipe && fgets(line, sizeof line, pipe)) {
		const char *at = strstr(line, "\"memory_bytes\":");

		if (at)
			bytes = strtoull(at + strlen("\"memory_bytes\":"), NULL, 10);
	}
	if (pipe)
		pclose(pipe);
	return bytes;
}
