/* A sum over a file's content, to tell whether anyone touched it. */
#ifndef TESTS_SUPPORT_SUM_H
#define TESTS_SUPPORT_SUM_H

#include <stdint.h>

uint64_t sum_fd(uint64_t sum, int fd);
/* Of all files in a directory, by name. */
uint64_t sum_directory(const char *path);

#endif
