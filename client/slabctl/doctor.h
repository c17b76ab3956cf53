/* What doctor finds, one by one. */
#ifndef SLABCTL_DOCTOR_H
#define SLABCTL_DOCTOR_H

#include "client/slabctl/host.h"
#include "client/slabctl/query.h"

/* "note": worse than could be, and yet it works. */
enum verdict { VERDICT_OK, VERDICT_NOTE, VERDICT_FAIL };

struct finding {
	enum verdict verdict;
	char what[16];
	char text[640];
	char command[320]; /* that mends it; empty: there is none, or nothing to mend */
};

struct findings {
	struct finding list[24];
	size_t n;
};

/* Adds one; the command is added to it by finding_mend(). */
void finding_add(struct findings *findings, enum verdict verdict, const char *what,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
void finding_mend(struct findings *findings, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What is known of slabd. */
struct patient {
	struct query *query;
	struct host host;
	struct status_row status;
	bool answers; /* then status is what it said */
	bool listens; /* its socket is there, for us */
	int keeper;   /* 0: unknown */
};

/* The machine, for a slabd as it runs, or as it would run by default. */
void doctor_kernel(struct findings *findings);
void doctor_hugepages(struct findings *findings, const struct patient *patient);
void doctor_memory(struct findings *findings, const struct patient *patient);
void doctor_files(struct findings *findings, const struct patient *patient);

/* slabd, from its socket inward. */
void doctor_socket(struct findings *findings, struct patient *patient);
void doctor_daemon(struct findings *findings, struct patient *patient);
void doctor_pool(struct findings *findings, const struct patient *patient);

#endif
