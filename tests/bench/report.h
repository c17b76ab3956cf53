/* Figures as a table for people, and as JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

void report_table(void);
void report_json(void);

#endif
