#include "tests/support/sum.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t mix(uint64_t sum, uint64_t word)
{
	return (sum ^ word) * UINT64_C(0x100000001b3) + (sum >> 29);
}

static uint64_t sum_piece(uint64_t sum, const uint64_t *words, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i++)
		if (words[i])
			sum = mix(mix(sum, at + i), words[i]);
	return sum;
}

/* Holes are skipped: regions are sparse. */
uint64_t sum_fd(uint64_t sum, int fd)
{
	static uint64_t words[8192];
	struct stat st;
	off_t at = 0;

	if (fstat(fd, &st) < 0)
		abort();
	sum = mix(sum, (uint64_t)st.st_size);
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		off_t start = at - at % (off_t)sizeof(words);
		ssize_t n;

		memset(words, 0, sizeof(words));
		n = pread(fd, words, sizeof(words), start);
		if (n < 0)
			abort();
		sum = sum_piece(sum, words, ((size_t)n + 7) / 8, (uint64_t)start / 8);
		at = start + (off_t)sizeof(words);
		if (at >= st.st_size)
			break;
	}
	return sum;
}

uint64_t sum_directory(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort), fd;
	uint64_t sum = 0;
	char file[512];

	if (n < 0)
		abort();
	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (names[i]->d_type == DT_REG && fd >= 0) {
			for (const char *c = names[i]->d_name; *c; c++)
				sum = mix(sum, (uint64_t)*c);
			sum = sum_fd(sum, fd);
		}
		if (fd >= 0)
			close(fd);
		free(names[i]);
	}
	free(names);
	return sum;
}
